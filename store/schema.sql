-- The index of a store, version 1. Files are the content, this says what they are and who needs them.
--
--   session ──< lease ──< lease_item          what is being worked with, and by whom
--      │ └────< staging                       layers being made
--      ├ · · ·< ingest                        blobs being brought in (survive their owner, for resuming)
--      └ · · ·< rootfs ──< rootfs_layer >── layer
--   image ──< image_layer · · ·> layer, blob  by digest: an image may name content that is not here yet
--     └ · · ·> blob ──< edge · · ·> blob      manifest → configuration and layers
--
--   ──<  foreign key, rows go with their parent (rootfs_layer > layer: RESTRICT)      · · ·  by value, or set to NULL
--
-- Times are milliseconds since 1970, sizes bytes. `boot_id` with `synced = 0` means: written during that boot and not
-- known to have reached the disk; worth nothing after another boot began.

-- One open store in one process. Its death is told from (pid, start_time, boot_id), never from a clock; deleting the row
-- undoes everything it held, by the foreign keys below.
CREATE TABLE session (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  pid            INTEGER NOT NULL,
  start_time     TEXT    NOT NULL,          -- clock ticks since boot, /proc/PID/stat field 22
  boot_id        TEXT    NOT NULL,
  pid_namespace  TEXT    NOT NULL,          -- a pid means nothing in another namespace
  opened_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE blob (
  digest      TEXT    PRIMARY KEY,
  size        INTEGER NOT NULL CHECK (size >= 0),
  created_at  INTEGER NOT NULL,
  boot_id     TEXT    NOT NULL,
  synced      INTEGER NOT NULL CHECK (synced IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_unsynced ON blob (digest) WHERE synced = 0;

-- Walked down by the mark, up by the check before each removal. The child need not be here.
CREATE TABLE edge (
  parent  TEXT NOT NULL REFERENCES blob (digest) ON DELETE CASCADE,
  child   TEXT NOT NULL,
  PRIMARY KEY (parent, child)
) STRICT, WITHOUT ROWID;
CREATE INDEX edge_child ON edge (child);

-- One download in progress for each digest, in ingest/<id>. Without a session it waits to be resumed or swept.
CREATE TABLE ingest (
  digest      TEXT    PRIMARY KEY,
  id          TEXT    NOT NULL UNIQUE,
  size        INTEGER CHECK (size >= 0),    -- when known
  session_id  INTEGER REFERENCES session (id) ON DELETE SET NULL,
  updated_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX ingest_session ON ingest (session_id);

-- One extracted tree in layers/<short_id>. The kind is part of the key because the ChainID of one layer is its DiffID.
CREATE TABLE layer (
  id            INTEGER PRIMARY KEY,
  kind          TEXT    NOT NULL CHECK (kind IN ('layer', 'fixup')),
  key           TEXT    NOT NULL,           -- DiffID of a layer, ChainID of a fixup
  short_id      TEXT    NOT NULL UNIQUE,
  size_bytes    INTEGER NOT NULL CHECK (size_bytes >= 0),
  entry_count   INTEGER NOT NULL CHECK (entry_count >= 0),
  facts         TEXT    NOT NULL CHECK (json_type(facts) = 'object'),
  created_at    INTEGER NOT NULL,
  last_used_at  INTEGER NOT NULL,
  boot_id       TEXT    NOT NULL,
  synced        INTEGER NOT NULL CHECK (synced IN (0, 1)),
  UNIQUE (key, kind)
) STRICT;
CREATE INDEX layer_unsynced ON layer (id) WHERE synced = 0;

-- One layer in progress, in staging/<id>; worthless without its maker.
CREATE TABLE staging (
  key         TEXT    NOT NULL,
  kind        TEXT    NOT NULL,
  id          TEXT    NOT NULL UNIQUE,
  session_id  INTEGER NOT NULL REFERENCES session (id) ON DELETE CASCADE,
  PRIMARY KEY (key, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX staging_session ON staging (session_id);

CREATE TABLE image (
  id               INTEGER PRIMARY KEY,
  name             TEXT    NOT NULL,        -- canonical reference
  platform         TEXT    NOT NULL,        -- os/arch[/variant]
  manifest_digest  TEXT    NOT NULL,
  config_digest    TEXT    NOT NULL,
  media_type       TEXT    NOT NULL,
  size_bytes       INTEGER,
  source           TEXT,
  chain_id         TEXT,                    -- key of its fix-up
  pinned           INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1)),
  created_at       INTEGER NOT NULL,
  last_used_at     INTEGER NOT NULL,
  UNIQUE (name, platform)
) STRICT;
CREATE INDEX image_manifest ON image (manifest_digest);
CREATE INDEX image_config ON image (config_digest);
CREATE INDEX image_chain ON image (chain_id);

CREATE TABLE image_layer (
  image_id  INTEGER NOT NULL REFERENCES image (id) ON DELETE CASCADE,
  position  INTEGER NOT NULL,               -- 0 is the base
  diff_id   TEXT    NOT NULL,
  blob      TEXT,                           -- the transported form, when it is kept
  PRIMARY KEY (image_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX image_layer_diff_id ON image_layer (diff_id);
CREATE INDEX image_layer_blob ON image_layer (blob);

-- One provisioned root filesystem in rootfs/<short_id>. Ids are the caller's; short ones keep mount options short.
CREATE TABLE rootfs (
  id              TEXT    PRIMARY KEY,
  short_id        TEXT    NOT NULL UNIQUE,
  image           TEXT,
  image_digest    TEXT    NOT NULL,
  backend         TEXT    NOT NULL,
  state           TEXT    NOT NULL CHECK (state IN ('preparing', 'ready', 'destroying')),
  read_only       INTEGER NOT NULL CHECK (read_only IN (0, 1)),
  path            TEXT,
  mounts          TEXT,                     -- JSON
  runtime_config  TEXT,                     -- JSON
  created_at      INTEGER NOT NULL,
  boot_id         TEXT    NOT NULL,
  session_id      INTEGER REFERENCES session (id) ON DELETE SET NULL,
  CHECK ((state = 'ready') <= (path IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX rootfs_session ON rootfs (session_id);
CREATE INDEX rootfs_unfinished ON rootfs (state) WHERE state <> 'ready';

-- RESTRICT is the last line of defence: no bug above can remove a layer that somebody stands on.
CREATE TABLE rootfs_layer (
  rootfs_id  TEXT    NOT NULL REFERENCES rootfs (id) ON DELETE CASCADE,
  position   INTEGER NOT NULL,              -- 0 is the base; the same layer may come twice
  layer_id   INTEGER NOT NULL REFERENCES layer (id) ON DELETE RESTRICT,
  PRIMARY KEY (rootfs_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX rootfs_layer_layer ON rootfs_layer (layer_id);

CREATE TABLE lease (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused: a lost lease cannot come back as another's
  session_id  INTEGER NOT NULL REFERENCES session (id) ON DELETE CASCADE,
  purpose     TEXT    NOT NULL,
  created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX lease_session ON lease (session_id);

-- What a lease holds; it need not be here yet. Blobs and layers by digest, images by name.
CREATE TABLE lease_item (
  lease_id  INTEGER NOT NULL REFERENCES lease (id) ON DELETE CASCADE,
  kind      TEXT    NOT NULL CHECK (kind IN ('blob', 'layer', 'image')),
  key       TEXT    NOT NULL,
  PRIMARY KEY (lease_id, kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX lease_item_key ON lease_item (kind, key);
