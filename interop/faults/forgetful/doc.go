// Package forgetful is a disk in memory that a power loss can happen to: a file system that any program may use (FUSE),
// and that forgets what was not synced.
//
//	program ── write ──► as programs see it ── fsync of the file ──────► as the disk holds it: pages, size
//	program ── create, rename, unlink ──► journal ── fsync of a directory ──► names
//	                                          └─ PowerLoss: what is not on the disk is gone, or a part of it is
//
// It is stricter than ext4: to sync a file says nothing of its name. What was done to a directory becomes durable in the order
// in which it was done; a rename is in both of its directories or in neither. Its syncs may be made slow.
package forgetful
