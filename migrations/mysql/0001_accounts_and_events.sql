-- Accounts and events, for MariaDB 10.5 or MySQL 8.0 and newer.
--
-- Migrations only add (tables, columns with defaults) within a major version, so that the previous release can go on
-- with a newer schema. One that the previous release could not live with raises `schema`.reader_min in the same file.
--
-- A person may write these tables with plain SQL while the hub runs:
--   INSERT INTO accounts (id, gateway, settings, secrets) VALUES ('ctp-main', 'ctp',
--     '{"md_address":"tcp://HOST:PORT","broker_id":"9999","user_id":"me","library":"ctp"}', '{"password":"..."}');
-- The hub seals a plain-text password as soon as it reads the row.

CREATE TABLE `schema` (
    id              INT     NOT NULL PRIMARY KEY CHECK (id = 1),
    -- The lowest schema reader that may use this database; a release knows its own number.
    reader_min      BIGINT  NOT NULL,
    -- Whether it was said that there are to be no accounts. Without that word, a table that is suddenly empty stops
    -- nothing. Set by the deletion of the last account through the hub's own commands, or by
    -- `mdhub account confirm-empty`.
    confirmed_empty TINYINT NOT NULL DEFAULT 0 CHECK (confirmed_empty IN (0, 1))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

INSERT INTO `schema` (id, reader_min) VALUES (1, 1);

-- Which gateways and which settings there are is not checked here: that list grows. A row that the hub does not
-- understand is set aside by name.
CREATE TABLE accounts (
    id                 VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY
        CHECK (id REGEXP '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'),
    gateway            VARCHAR(16)  NOT NULL,
    -- A JSON object without secrets.
    settings           LONGTEXT     NOT NULL CHECK (JSON_VALID(settings)),
    -- A JSON object: field -> sealed text. A plain text is accepted, and sealed when it is read.
    secrets            LONGTEXT     NOT NULL DEFAULT ('{}') CHECK (JSON_VALID(secrets)),
    -- 1 is the primary.
    priority           BIGINT       NOT NULL DEFAULT 1 CHECK (priority BETWEEN 1 AND 4294967295),
    is_enabled         TINYINT      NOT NULL DEFAULT 1 CHECK (is_enabled IN (0, 1)),
    suspended          TINYINT      NOT NULL DEFAULT 0 CHECK (suspended IN (0, 1)),
    restart_generation BIGINT       NOT NULL DEFAULT 0 CHECK (restart_generation >= 0),
    -- The optimistic lock: raised by every write through the hub.
    generation         BIGINT       NOT NULL DEFAULT 1 CHECK (generation >= 0),
    description        VARCHAR(1000) NOT NULL DEFAULT '',
    -- Milliseconds since the epoch.
    created_at         BIGINT       NOT NULL DEFAULT (CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)),
    updated_at         BIGINT       NOT NULL DEFAULT (CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE events (
    id      BIGINT       NOT NULL PRIMARY KEY AUTO_INCREMENT,
    -- Milliseconds since the epoch.
    at      BIGINT       NOT NULL,
    account VARCHAR(40),
    actor   TEXT         NOT NULL,
    reason  TEXT         NOT NULL,
    message TEXT         NOT NULL,
    INDEX events_by_time (at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
