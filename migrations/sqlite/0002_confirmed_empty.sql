-- Whether it was said that there are to be no accounts. Without that word, a table that is suddenly empty stops nothing.
-- Set by the deletion of the last account through the hub's own commands, or by `mdhub account confirm-empty`.
ALTER TABLE schema ADD COLUMN confirmed_empty INTEGER NOT NULL DEFAULT 0 CHECK (confirmed_empty IN (0, 1));
