/* SPDX-License-Identifier: Apache-2.0 */
/* What only this room sees: the open store, segments, data files, changes on their way to the log. */
#ifndef BLOBS_BLOBS_INT_H
#define BLOBS_BLOBS_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <nettle/md5.h>
#include "base/digest.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rng.h"
#include "blobs/blobs.h"
#include "blobs/blobs_index.h"

#define SEGMENT_BYTES (256 << 20)  /* a new one is begun when the newest is longer */
#define SEGMENT_HEADER "CMLSEG1\n" /* records follow */
#define SEGMENT_HEADER_BYTES 8
#define FILE_BLOCK_BYTES (64 << 10) /* of a data file, each with a CRC */
#define FILE_FOLDERS 256
#define BATCH_CHANGES 512 /* that share one commit */
#define BATCH_BYTES (8 << 20)
#define INDEX_WAL_CALM 4000 /* pages: copied when nothing waits */
#define INDEX_WAL_MAX 32000 /* pages: copied although changes wait */
#define COMPACT_LIVE_PERCENT 50
#define READERS_MAX 16 /* connections that wait for the next reader */
#define VERIFIED_FILES 4096
#define HELD_FILES_MAX (1 << 20) /* more are left to the next start */

struct segment {
	uint32_t id;
	int fd;
	atomic_int refs;
	uint64_t end; /* committing thread only, but for sealed ones */
};
struct bucket {
	uint64_t id;
	char name[CORE_NAME_MAX + 1];
	struct bucket_body body;
	int64_t objects, bytes;
};
struct usage {						/* of an organisation */
	int64_t objects, bytes, max_objects, max_bytes; /* maxima: -1 = none */
};

/* blobs_hash.c: blocks of uploads that are hashed while the next is written */
enum hash_state { HASH_IDLE, HASH_QUEUED, HASH_RUNNING };
struct hash_job {
	struct list node;
	enum hash_state state; /* under the lock */
	struct md5_ctx *md5;   /* views, as 'data'; NULL = not that one */
	struct digest *digest;
	const char *data;
	size_t len;
	int fd; /* of the file whose bytes from flush_from on are to be on their way; flush_len 0 = none */
	int64_t flush_from, flush_len;
};
struct hasher {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake, finished;
	struct list queue;
	bool is_running, stopping;
};
int hasher_start(struct hasher *h, struct err *err);
void hasher_stop(struct hasher *h);		       /* of one that never ran nothing */
void hash_begin(struct hasher *h, struct hash_job *j); /* keeps j and what it names until hash_end */
void hash_end(struct hasher *h, struct hash_job *j);   /* done when it returns; of an idle one nothing */

struct blobs {
	struct blob_store base;
	struct hasher hasher;
	char *root; /* path of the folder */
	int root_fd, lock_fd, files_fd, segments_fd;
	atomic_uint_fast64_t next_file;
	atomic_bool unsynced[FILE_FOLDERS]; /* folders whose files were removed since the start */

	pthread_rwlock_t names; /* of buckets, usages, segments */
	struct map *buckets, *usages;
	struct segment **segments; /* ascending ids; the last one is written */
	size_t segment_count;
	_Atomic uint64_t verified[VERIFIED_FILES]; /* files whose blocks were all checked since the start */

	pthread_mutex_t recent_lock;
	struct recent_slot *recent;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake, finished;
	struct list queue;
	bool stopping, failed;
	atomic_bool compact_stopping; /* before 'stopping': a compaction needs the committing thread */
	struct err why;		      /* of failed */
	struct index *readers[READERS_MAX];
	size_t reader_count;
	size_t holds;	   /* blobs_hold.c */
	uint64_t *waiting; /* files that go when nobody holds; owned */
	size_t waiting_count, waiting_cap;
	bool left_behind;	      /* one or more did not fit in there */
	struct blob_position durable; /* of the log */

	/* committing thread */
	pthread_t thread;
	struct index index;
	struct buf out;
	uint64_t next_seq;
	int wal_pages;
	bool sync_wanted, was_synced; /* of the index, after this batch; what came of it */
	_Atomic uint64_t segment_bytes;

	pthread_t compactor;
	pthread_mutex_t compact_lock; /* one compaction at a time */
	bool compact_wanted;	      /* under lock */
};
static inline struct blobs *blobs_of(struct blob_store *s)
{
	return (struct blobs *)s;
}

/* blobs_segment.c */
int segments_open(struct blobs *b, struct err *err);
void segments_close(struct blobs *b);
int segment_add(struct blobs *b, struct err *err); /* a new one, durable, becomes the one that is written */
struct segment *segment_last(struct blobs *b);
struct segment *segment_ref(struct blobs *b, uint32_t id); /* NULL when it is gone */
void segment_unref(struct segment *s);
int segment_write(struct segment *s, const struct buf *bytes, struct err *err); /* at its end; not synced */
int segment_truncate(struct segment *s, uint64_t end, struct err *err);
int segment_seal(struct segment *s, struct err *err);
int segment_remove(struct blobs *b, uint32_t id, struct err *err);
/* Reads records one after the other from 'offset'. */
struct segment_scan {
	struct segment *segment;
	uint64_t offset; /* of the record just read */
	uint64_t next;
	struct buf window;
	uint64_t window_at;
	bool at_end; /* of the file */
};
void scan_begin(struct segment_scan *s, struct segment *segment, uint64_t offset);
void scan_end(struct segment_scan *s);
/* RECORD_OK with a view until the next call; RECORD_END; RECORD_SHORT or RECORD_DAMAGED at s->next. */
int scan_next(struct segment_scan *s, struct record *ret, struct place *ret_place, struct err *err);
/* After damage: goes on at the next record that is whole. 1 = found one (scan_next reads it), 0 = none. */
int scan_skip(struct segment_scan *s, struct err *err);

/* blobs_file.c: data files, with a CRC for each block behind the content */
struct file_writer {
	uint64_t id; /* 0 = not begun */
	int fd;
	int64_t size_bytes;
	uint32_t *crcs; /* of whole blocks */
	size_t block_count, block_cap;
	uint32_t crc; /* of the block in work */
	size_t filled;
};
int files_open(struct blobs *b, struct err *err);
int file_begin(struct blobs *b, struct file_writer *ret, struct err *err);
int file_write(struct file_writer *w, const void *data, size_t len, struct err *err);
int file_finish(struct blobs *b, struct file_writer *w, struct err *err); /* durable when it returns 0 */
void file_abort(struct blobs *b, struct file_writer *w);
void file_remove(struct blobs *b, uint64_t id);		  /* later, when somebody holds */
int files_sync_removed(struct blobs *b, struct err *err); /* no removed file comes back */
int file_link(struct blobs *b, uint64_t id, uint64_t *ret,
	      struct err *err); /* the same content by a new id */
struct file_reader {
	uint64_t id;
	int fd;
	int64_t size_bytes;
	unsigned char *block; /* owned; FILE_BLOCK_BYTES */
	int64_t block_at;     /* number of the block in it; -1 = none */
};
int file_open(struct blobs *b, const struct extent *e, struct file_reader *ret, struct err *err);
void file_close(struct file_reader *f);
ssize_t file_read(struct file_reader *f, int64_t offset, void *data, size_t len, struct err *err);
/* Checks the blocks of a range; remembers files that were checked whole. */
int file_verify(struct blobs *b, struct file_reader *f, int64_t offset, int64_t len, struct err *err);
/* Calls fn with each file there is, in no order. */
int files_each(struct blobs *b, void (*fn)(void *arg, uint64_t id), void *arg, struct err *err);

/* blobs_hold.c */
void hold_begin(struct blob_store *s);
void hold_end(struct blob_store *s);
bool is_held(struct blobs *b);
bool hold_file(struct blobs *b, uint64_t id); /* true: it is held, and goes later */
void hold_settle(struct blobs *b);	      /* removes what waited, unless somebody holds */
bool hold_close(struct blobs *b);    /* the same in the end; false when files stay that nobody owns */
void position_note(struct blobs *b); /* committing thread: all that was written is durable */
void position_get(struct blob_store *s, struct blob_position *ret);

/* blobs_reader.c: connections to the index for threads that read */
int reader_take(struct blobs *b, struct index **ret, struct err *err);
void reader_give(struct blobs *b, struct index *ix);
/* Finds a version and unpacks it. ERR_NOT_FOUND; ERR_METHOD for a marker named by its version. */
int reader_find(struct blobs *b, const struct bucket *bucket, const char *key, const char *version,
		struct row *ret_row, struct object *ret, struct err *err);
void version_format(uint64_t seq, unsigned flags, char ret[BLOB_VERSION_MAX + 1]);
/* seq, flags and body of a row as an object; attributes too. */
int row_object(const struct row *row, struct object *ret, struct err *err);

/* blobs_recent.c: rows of small objects that were read lately, by key; always the newest versions */
void recent_init(struct blobs *b);
void recent_done(struct blobs *b);
bool recent_find(struct blobs *b, uint64_t bucket, struct str key, struct row *ret);
/* Before the index is asked; recent_note drops the row when anything changed there since. */
unsigned recent_mark(struct blobs *b, uint64_t bucket, struct str key);
void recent_note(struct blobs *b, uint64_t bucket, struct str key, const struct row *row, unsigned mark);
/* Committing thread: around the moment in which a batch of struct change becomes visible. */
void recent_begin(struct blobs *b, const struct list *changes);
void recent_end(struct blobs *b, const struct list *changes);

/* blobs_bucket.c */
/* A copy in *ret without attributes. ERR_NOT_FOUND also when another organisation has it. */
int bucket_find(struct blobs *b, const char *org, const char *name, struct bucket *ret, struct err *err);
int buckets_load(struct blobs *b, struct err *err);	   /* names and sums, from the index */
void bucket_note(struct blobs *b, const struct record *r); /* of a record that was written */
void bucket_tally(struct blobs *b, const struct tally *t);
/* ERR_QUOTA when so much more is too much. */
int room_check(struct blobs *b, const struct tally *t, const char *org, int64_t bytes, int64_t objects,
	       struct err *err);
int bucket_create(struct blob_store *s, const char *org, const char *bucket, struct err *err);
int bucket_delete(struct blob_store *s, const char *org, const char *bucket, struct err *err);
int bucket_remove(struct blob_store *s, const char *org, const char *bucket, struct err *err);
int bucket_stat(struct blob_store *s, const char *org, const char *bucket, struct blob_bucket *ret,
		struct err *err);
int bucket_attributes(struct blob_store *s, const char *bucket, char **ret_attributes, struct err *err);
int bucket_set(struct blob_store *s, const char *org, const char *bucket, enum blob_versioning versioning,
	       const char *attributes, struct err *err);
int bucket_list(struct blob_store *s, const char *org, struct blob_list *ret, struct err *err);
void org_quota_set(struct blob_store *s, const char *org, int64_t bytes, int64_t objects);
int org_usage(struct blob_store *s, const char *org, int64_t *ret_bytes, int64_t *ret_objects,
	      struct err *err);

/* A change on its way: made by a call, prepared and written by the committing thread. */
struct change;
struct change_kind {
	enum record_type type;
	/* Committing thread: looks at the index, completes c->record. 1 = write it, 0 = nothing is to be
	 * done, success. */
	int (*prepare)(struct blobs *b, struct change *c, const struct tally *t, struct err *err);
};
struct change {
	struct list node;
	const struct change_kind *kind;
	char org[CORE_NAME_MAX + 1], bucket[CORE_NAME_MAX + 1];
	char *key; /* owned; NULL for changes of buckets */
	char *version, *if_etag;
	bool if_absent;
	char upload[BLOB_UPLOAD_ID_MAX + 1];
	int number;
	struct object object;
	struct bucket_body bucket_body;
	struct buf data;	       /* content in the record */
	const struct blob_part *parts; /* view: of upload_complete */
	size_t part_count;
	struct place moved_from; /* CHANGE_MOVE */

	struct record record; /* views into this change */
	struct buf body;

	int r;
	struct err err;
	struct blob_info info; /* the result */
	blob_done_fn *done;    /* NULL: somebody waits for 'finished' */
	void *arg;
	bool finished, written;
};
extern const struct change_kind change_put, change_complete, change_remove, change_attributes,
    change_bucket_create, change_bucket_set, change_bucket_delete, change_upload, change_part,
    change_upload_abort, change_move;
struct change *change_new(const struct change_kind *kind, const char *org, const char *bucket,
			  const char *key);
void change_free(struct change *c); /* NULL is fine */
static inline void cleanup_change(struct change **c)
{
	change_free(*c);
}
void change_options(struct change *c, const struct blob_put_options *o); /* copies the conditions */
void change_drop_files(struct blobs *b, struct change *c);		 /* of one that was not written */

/* blobs_commit.c */
void *commit_thread(void *blobs);
void commit_submit(struct blobs *b, struct change *c); /* takes c when it has 'done', else borrows */
void commit_wait(struct blobs *b, struct change *const *changes, size_t count);
int commit_run(struct blobs *b, struct change *c, struct err *err); /* submit and wait; the change's result */
int commit_failed(struct blobs *b, struct err *err);		    /* the store stopped for good: why */

/* blobs_put.c */
int put_begin(struct blob_store *s, const char *org, const char *bucket, const char *key,
	      const struct blob_put_options *options, struct blob_put **ret, struct err *err);
int part_begin(struct blob_store *s, const char *org, const char *bucket, const char *key,
	       const char *upload_id, int number, const struct blob_put_options *options,
	       struct blob_put **ret, struct err *err);
int put_write(struct blob_put *p, const void *data, size_t len, struct err *err);
int put_commit(struct blob_put *p, struct blob_info *ret, struct err *err);
void put_commit_async(struct blob_put *p, blob_done_fn *done, void *arg);
bool put_is_small(const struct blob_put *p);
void put_attributes(struct blob_put *p, const char *attributes);
void put_abort(struct blob_put *p);
int options_check(struct blobs *b, const struct blob_put_options *o, struct err *err);

/* blobs_get.c */
int get_open(struct blob_store *s, const char *org, const char *bucket, const char *key, const char *version,
	     struct blob_get **ret, struct blob_info *ret_info, struct err *err);
int get_open_at_once(struct blob_store *s, const char *org, const char *bucket, const char *key,
		     struct blob_get **ret, struct blob_info *ret_info);
ssize_t get_read(struct blob_get *g, int64_t offset, void *data, size_t len, struct err *err);
const char *get_attributes(const struct blob_get *g);
int64_t get_extent(struct blob_get *g, int64_t offset, int64_t len, int *ret_fd, int64_t *ret_file_offset,
		   struct err *err);
int get_part(const struct blob_get *g, int number, int64_t *ret_offset, int64_t *ret_size, struct err *err);
void get_close(struct blob_get *g);
/* Content that lies in a record, checked; *ret is owned. ERR_CORRUPT; 1 when the segment is gone: look again.
 */
int record_content(struct blobs *b, const struct row *row, const struct object *o, const char *key,
		   unsigned char **ret, struct err *err);

/* blobs_object.c */
int object_stat(struct blob_store *s, const char *org, const char *bucket, const char *key,
		const char *version, struct blob_info *ret, char **ret_attributes, struct err *err);
int object_set_attributes(struct blob_store *s, const char *org, const char *bucket, const char *key,
			  const char *version, const char *attributes, struct err *err);
int object_remove(struct blob_store *s, const char *org, const char *bucket, const char *key,
		  struct err *err);
int object_remove_many(struct blob_store *s, const char *org, const char *bucket, struct blob_removal *items,
		       size_t count, struct err *err);
int object_copy(struct blob_store *s, const char *org, const char *from_bucket, const char *from_key,
		const char *from_version, const char *bucket, const char *key,
		const struct blob_put_options *options, struct blob_info *ret, struct err *err);

/* blobs_list.c */
int list_objects(struct blob_store *s, const char *org, const char *bucket, const char *prefix,
		 const char *after, const char *delimiter, size_t limit, struct blob_list *ret,
		 struct err *err);
int list_versions(struct blob_store *s, const char *org, const char *bucket, const char *prefix,
		  const char *after, const char *after_version, const char *delimiter, size_t limit,
		  struct blob_list *ret, struct err *err);

/* blobs_upload.c */
int upload_begin(struct blob_store *s, const char *org, const char *bucket, const char *key,
		 const struct blob_put_options *options, char ret_id[BLOB_UPLOAD_ID_MAX + 1],
		 struct err *err);
int upload_complete(struct blob_store *s, const char *org, const char *bucket, const char *key,
		    const char *upload_id, const struct blob_part *parts, size_t count,
		    const struct blob_put_options *options, struct blob_info *ret, struct err *err);
int upload_abort(struct blob_store *s, const char *org, const char *bucket, const char *key,
		 const char *upload_id, struct err *err);
int upload_stat(struct blob_store *s, const char *org, const char *bucket, const char *key,
		const char *upload_id, char **ret_attributes, struct err *err);
int upload_list(struct blob_store *s, const char *org, const char *bucket, const char *prefix,
		const char *after, const char *after_id, size_t limit, struct blob_list *ret,
		struct err *err);
int part_list(struct blob_store *s, const char *org, const char *bucket, const char *key,
	      const char *upload_id, int after, size_t limit, struct blob_parts *ret, struct err *err);
/* Committing thread: the object that the parts make. */
int upload_assemble(struct blobs *b, uint64_t bucket, struct change *c, struct err *err);

/* blobs_recover.c */
int recover(struct blobs *b, struct err *err);
/* blobs_compact.c */
void *compact_thread(void *blobs);
void compact_want(struct blobs *b);
/* blobs_import.c */
int import_format_1(struct blobs *b, struct err *err);

#endif
