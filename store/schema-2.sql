-- Version 2: images whose format has an ID of its own, layers that are part of a tar, what was asked for, when a name last
-- moved, and what became of downloads whose digest only they could tell.

-- An Appc image ID: the digest of an uncompressed tar, which need not be a blob here.
ALTER TABLE image ADD COLUMN image_id TEXT;
CREATE INDEX image_image_id ON image (image_id) WHERE image_id IS NOT NULL;

-- When the name was last pointed at something, be it what it meant before.
ALTER TABLE image ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
UPDATE image SET updated_at = created_at;

-- JSON, the caller's: how the tree was taken from the tar where it is not all of it, so that it can be taken again. Up to
-- megabytes, and therefore apart from what every listing reads.
CREATE TABLE image_part (
  image_id  INTEGER NOT NULL,
  position  INTEGER NOT NULL,
  part      TEXT    NOT NULL CHECK (json_type(part) = 'object'),
  PRIMARY KEY (image_id, position),
  FOREIGN KEY (image_id, position) REFERENCES image_layer (image_id, position) ON DELETE CASCADE
) STRICT;

-- Platforms for which an image was chosen although it is for another one: linux/amd64 for a machine that is linux/amd64/v3.
CREATE TABLE image_asked (
  image_id  INTEGER NOT NULL REFERENCES image (id) ON DELETE CASCADE,
  platform  TEXT    NOT NULL,
  PRIMARY KEY (image_id, platform)
) STRICT, WITHOUT ROWID;

-- Names that are no image's own, and the image to which each led last when it was asked for on a platform.
CREATE TABLE image_alias (
  id        INTEGER PRIMARY KEY,            -- grows: a later one led there later
  name      TEXT    NOT NULL,
  platform  TEXT    NOT NULL,               -- as asked
  image_id  INTEGER NOT NULL REFERENCES image (id) ON DELETE CASCADE,
  UNIQUE (name, platform)
) STRICT;
CREATE INDEX image_alias_image ON image_alias (image_id);

-- Which blob bytes became that were fetched by another name than their digest. The key is that ingest's stand-in.
CREATE TABLE download (
  key     TEXT PRIMARY KEY,
  digest  TEXT NOT NULL REFERENCES blob (digest) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX download_digest ON download (digest);

-- Bytes that nothing tells from those of the next attempt: worthless without their owner, whose end they do not survive.
ALTER TABLE ingest ADD COLUMN anonymous INTEGER NOT NULL DEFAULT 0 CHECK (anonymous IN (0, 1));
