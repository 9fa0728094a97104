/* hub_server.h: a server on the loopback interface that plays the Hub, with faults on demand. Depends on nothing of assay. */
#ifndef AS_TEST_HUB_SERVER_H
#define AS_TEST_HUB_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hub_server hub_server;
hub_server *hub_server_start(void); /* NULL: no socket to be had */
void hub_server_stop(hub_server *s);
int hub_server_port(const hub_server *s);

/* kind: "models" or "datasets". Files go to the repository that was added last. */
void hub_server_repo(hub_server *s, const char *kind, const char *id, const char *commit);
/* path as the listing says it. lfs: named by its SHA-256, and fetched through a redirection. */
void hub_server_add(hub_server *s, const char *path, const void *body, size_t n, bool lfs);
/* What names the blob of that file: 40 or 64 hex digits. */
const char *hub_server_etag(const hub_server *s, const char *path);
/* Where redirections of LFS files lead: another server's port, which must hold the same files. */
void hub_server_cdn(hub_server *s, int port);

typedef enum hub_fault {
    HUB_STATUS,    /* arg: the status; text: header lines */
    HUB_CUT,       /* the connection ends after arg bytes of the body */
    HUB_FLIP,      /* the byte at arg is another */
    HUB_SHORT,     /* arg bytes less, and the length says so */
    HUB_LONG,      /* arg bytes more */
    HUB_NO_RANGE,  /* all of it, whatever part was asked for */
    HUB_OTHER_RANGE, /* a part that begins elsewhere */
    HUB_SLOW,      /* arg milliseconds before each 16 KiB */
    HUB_BODY,      /* text in place of the body */
    HUB_HEADER,    /* text: header lines more */
    HUB_HANG_UP    /* no answer */
} hub_fault;
/* The next `times` requests (< 0: all) whose first line holds `match` get the fault. text is borrowed. */
void hub_server_fault(hub_server *s, const char *match, hub_fault kind, int64_t arg, const char *text, int times);
/* Requests so far whose head holds both texts. */
int hub_server_count(hub_server *s, const char *a, const char *b);

#endif
