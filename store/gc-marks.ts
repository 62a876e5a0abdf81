/**
 * What is needed, as SQL. The roots are images (manifest, configuration, layers), leases (items) and root filesystems
 * (layers); an edge carries need from a manifest or index to what it names.
 */

/** Blobs needed for themselves. */
const ROOT_BLOBS = `
  SELECT manifest_digest AS digest FROM image
  UNION SELECT config_digest FROM image
  UNION SELECT blob FROM image_layer WHERE blob IS NOT NULL
  UNION SELECT key FROM lease_item WHERE kind = 'blob'`;

/** Mark: down from all roots at once; what is left is the sweep's list. */
export const UNMARKED_BLOBS = `
  WITH RECURSIVE marked (digest) AS (
    SELECT digest FROM (${ROOT_BLOBS})
    UNION SELECT edge.child FROM marked JOIN edge ON edge.parent = marked.digest
  )
  SELECT digest, size FROM blob WHERE digest NOT IN (SELECT digest FROM marked) ORDER BY digest`;

/**
 * The same question for one blob, asked again before it goes: up from `:digest` to whoever names it, which touches a few
 * rows where the mark touches all. A row comes back when it is needed.
 */
export const BLOB_IS_NEEDED = `
  WITH RECURSIVE user (digest) AS (
    VALUES (:digest)
    UNION SELECT edge.parent FROM user JOIN edge ON edge.child = user.digest
  )
  SELECT 1 FROM user WHERE
    EXISTS (SELECT 1 FROM image WHERE manifest_digest = user.digest)
    OR EXISTS (SELECT 1 FROM image WHERE config_digest = user.digest)
    OR EXISTS (SELECT 1 FROM image_layer WHERE blob = user.digest)
    OR EXISTS (SELECT 1 FROM lease_item WHERE kind = 'blob' AND key = user.digest)`;

/** A condition on a row of `layer`. */
export const LAYER_IS_NEEDED = `
  EXISTS (SELECT 1 FROM rootfs_layer WHERE layer_id = layer.id)
  OR EXISTS (SELECT 1 FROM lease_item WHERE lease_item.kind = 'layer' AND lease_item.key = layer.key)
  OR CASE layer.kind
       WHEN 'layer' THEN EXISTS (SELECT 1 FROM image_layer WHERE diff_id = layer.key)
       ELSE EXISTS (SELECT 1 FROM image WHERE chain_id = layer.key)
     END`;
