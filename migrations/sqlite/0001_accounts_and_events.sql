-- Accounts and events.
--
-- Migrations only add (tables, columns with defaults) within a major version, so that the previous release can go on
-- with a newer schema. One that the previous release could not live with raises schema.reader_min in the same file.
--
-- A person may write these tables with plain SQL while the hub runs:
--   INSERT INTO accounts (id, gateway, settings, secrets) VALUES ('ctp-main', 'ctp',
--     '{"md_address":"tcp://HOST:PORT","broker_id":"9999","user_id":"me","library":"ctp"}', '{"password":"..."}');
-- The hub seals a plain-text password as soon as it reads the row.

CREATE TABLE schema (
    id         INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    -- The lowest schema reader that may use this database; a release knows its own number.
    reader_min INTEGER NOT NULL CHECK (typeof(reader_min) = 'integer')
);

INSERT INTO schema (id, reader_min) VALUES (1, 1);

-- Which gateways and which settings there are is not checked here: that list grows, and SQLite cannot change a CHECK.
-- A row that the hub does not understand is set aside by name.
CREATE TABLE accounts (
    id                 TEXT    NOT NULL PRIMARY KEY
        CHECK (typeof(id) = 'text' AND length(id) BETWEEN 1 AND 40 AND id NOT GLOB '*[^-a-z0-9]*'
               AND id NOT GLOB '-*' AND id NOT GLOB '*-'),
    gateway            TEXT    NOT NULL CHECK (typeof(gateway) = 'text'),
    -- A JSON object without secrets.
    settings           TEXT    NOT NULL CHECK (typeof(settings) = 'text' AND json_valid(settings)),
    -- A JSON object: field -> sealed text. A plain text is accepted, and sealed when it is read.
    secrets            TEXT    NOT NULL DEFAULT '{}' CHECK (typeof(secrets) = 'text' AND json_valid(secrets)),
    -- 1 is the primary.
    priority           INTEGER NOT NULL DEFAULT 1
        CHECK (typeof(priority) = 'integer' AND priority BETWEEN 1 AND 4294967295),
    is_enabled         INTEGER NOT NULL DEFAULT 1 CHECK (is_enabled IN (0, 1)),
    suspended          INTEGER NOT NULL DEFAULT 0 CHECK (suspended IN (0, 1)),
    restart_generation INTEGER NOT NULL DEFAULT 0
        CHECK (typeof(restart_generation) = 'integer' AND restart_generation >= 0),
    -- The optimistic lock: raised by every write through the hub.
    generation         INTEGER NOT NULL DEFAULT 1 CHECK (typeof(generation) = 'integer' AND generation >= 0),
    description        TEXT    NOT NULL DEFAULT '' CHECK (typeof(description) = 'text'),
    -- Milliseconds since the epoch.
    created_at         INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))
        CHECK (typeof(created_at) = 'integer'),
    updated_at         INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))
        CHECK (typeof(updated_at) = 'integer')
);

CREATE TABLE events (
    id      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    -- Milliseconds since the epoch.
    at      INTEGER NOT NULL CHECK (typeof(at) = 'integer'),
    account TEXT,
    actor   TEXT    NOT NULL CHECK (typeof(actor) = 'text'),
    reason  TEXT    NOT NULL CHECK (typeof(reason) = 'text'),
    message TEXT    NOT NULL CHECK (typeof(message) = 'text')
);

CREATE INDEX events_by_time ON events (at);
