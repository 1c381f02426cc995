/* SPDX-License-Identifier: Apache-2.0 */
/* The network namespace of a container. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "local/netns.h"

#define RESOLV_BYTES_MAX 65536
#define RESOLV_SERVERS_MAX 3  /* the C library reads no more */
#define SLIRP_DNS "10.0.2.3"  /* slirp4netns: forwards to the host's resolver */
#define SLIRP_NET 0x0a000200u /* 10.0.2.0/24 */

/* The next line of *at as "WORD REST", NUL-terminated in place; false at the end. */
static bool next_line(char **at, char **ret_word, char **ret_rest)
{
	if (!**at)
		return false;
	char *line = *at, *end = line + strcspn(line, "\n");
	*at = *end ? end + 1 : end;
	*end = 0;
	line += strspn(line, " \t");
	char *gap = line + strcspn(line, " \t");
	*ret_rest = *gap ? gap + 1 + strspn(gap + 1, " \t") : gap;
	*gap = 0;
	(*ret_rest)[strcspn(*ret_rest, "#;\r")] = 0;
	*ret_word = line;
	return true;
}

/* IPv4, not loopback, not "any": what can be reached through the user-mode network. */
static bool is_reachable_server(const char *text, struct in_addr *ret)
{
	if (inet_pton(AF_INET, text, ret) != 1)
		return false;
	uint32_t a = ntohl(ret->s_addr);
	return a != 0 && (a >> 24) != 127 && (a & 0xffffff00u) != SLIRP_NET;
}

void netns_resolv_conf(const char *host_path, enum network_mode network, struct buf *ret)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	int servers = 0;
	if (network == NETWORK_NONE) {
		buf_adds(ret, "# this container has no network\n");
		return;
	}
	fd_read_file(AT_FDCWD, host_path, RESOLV_BYTES_MAX, &text, NULL);
	char *at = text.data, *word, *rest;
	while (at && next_line(&at, &word, &rest)) {
		struct in_addr address;
		rest[strcspn(rest, strcmp(word, "nameserver") == 0 ? " \t" : "")] = 0;
		if (strcmp(word, "search") == 0 || strcmp(word, "options") == 0 ||
		    strcmp(word, "domain") == 0)
			buf_printf(ret, "%s %s\n", word, rest);
		else if (strcmp(word, "nameserver") == 0 && servers < RESOLV_SERVERS_MAX &&
			 is_reachable_server(rest, &address) && ++servers)
			buf_printf(ret, "nameserver %s\n", rest);
	}
	if (servers == 0)
		buf_adds(ret, "nameserver " SLIRP_DNS "\n");
}

static bool is_name_server(const char *resolv_text, uint32_t address)
{
	CLEANUP(free) char *copy = mem_strdup(resolv_text);
	char *at = copy, *word, *rest;
	struct in_addr server;
	while (next_line(&at, &word, &rest)) {
		rest[strcspn(rest, " \t")] = 0;
		if (strcmp(word, "nameserver") == 0 && inet_pton(AF_INET, rest, &server) == 1 &&
		    server.s_addr == address)
			return true;
	}
	return false;
}

static void block(struct netns_blocked *b, uint32_t address, uint8_t prefix)
{
	for (unsigned i = 0; i < b->count; i++)
		if (b->networks[i].address == address && b->networks[i].prefix == prefix)
			return;
	if (b->count == NETNS_BLOCKED_MAX)
		return;
	b->networks[b->count].address = address;
	b->networks[b->count].prefix = prefix;
	b->count++;
}

void netns_blocked_find(const char *resolv_path, struct netns_blocked *ret)
{
	CLEANUP(buf) struct buf resolv = BUF_INIT;
	struct ifaddrs *all = NULL;
	ret->count = 0;
	block(ret, htonl(0xa9fe0000u), 16); /* 169.254.0.0/16 */
	fd_read_file(AT_FDCWD, resolv_path, RESOLV_BYTES_MAX, &resolv, NULL);
	if (getifaddrs(&all) < 0)
		return;
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET)
			continue;
		uint32_t address = ((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr.s_addr;
		if (ntohl(address) >> 24 != 127 && !is_name_server(buf_str(&resolv), address))
			block(ret, address, 32);
	}
	freeifaddrs(all);
}

static int loopback_up(void)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		return -errno;
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int e = ioctl(s, SIOCSIFFLAGS, &r) < 0 ? -errno : 0;
	close(s);
	return e;
}

/* One "unreachable" route by rtnetlink(7). */
static int route_block(int netlink, uint32_t address, uint8_t prefix)
{
	struct {
		struct nlmsghdr head;
		struct rtmsg route;
		struct rtattr attr;
		uint32_t to;
	} ask = {
	    .head = {.nlmsg_len = sizeof(ask),
		     .nlmsg_type = RTM_NEWROUTE,
		     .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK},
	    .route = {.rtm_family = AF_INET,
		      .rtm_dst_len = prefix,
		      .rtm_table = RT_TABLE_MAIN,
		      .rtm_protocol = RTPROT_STATIC,
		      .rtm_scope = RT_SCOPE_UNIVERSE,
		      .rtm_type = RTN_UNREACHABLE},
	    .attr = {.rta_len = RTA_LENGTH(sizeof(uint32_t)), .rta_type = RTA_DST},
	    .to = address,
	};
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char rest[256];
	} answer;
	if (send(netlink, &ask, sizeof(ask), 0) < 0)
		return -errno;
	ssize_t n = recv(netlink, &answer, sizeof(answer), 0);
	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(answer.head) + sizeof(answer.error) || answer.head.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return answer.error.error;
}

int netns_enter_new(const struct netns_blocked *blocked)
{
	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	int r = loopback_up();
	if (r < 0 || !blocked)
		return r;
	int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (netlink < 0)
		return -errno;
	for (unsigned i = 0; i < blocked->count && r == 0; i++)
		r = route_block(netlink, blocked->networks[i].address, blocked->networks[i].prefix);
	close(netlink);
	return r;
}

int netns_enter_shared(const char *path, const struct netns_blocked *blocked)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0) {
		int e = setns(fd, CLONE_NEWNET) < 0 ? errno : 0;
		close(fd);
		if (e != EINVAL) /* a file on which nothing was mounted: its maker was killed */
			return e ? -e : 1;
	} else if (errno != ENOENT) {
		return -errno;
	}
	int r = netns_enter_new(blocked);
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	return mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

/* By its number, when that is still the one that serves this network. */
static void slirp_end(const char *path)
{
	CLEANUP(buf) struct buf number = BUF_INIT, command = BUF_INIT;
	char file[NETNS_PATH_MAX + 16];
	snprintf(file, sizeof(file), "%s" NETNS_SLIRP_SUFFIX, path);
	if (fd_read_file(AT_FDCWD, file, 24, &number, NULL) < 0)
		return;
	long pid = strtol(buf_str(&number), NULL, 10);
	CLEANUP(fd) int pid_fd = pid > 0 ? (int)syscall(SYS_pidfd_open, (pid_t)pid, 0) : -1;
	snprintf(file, sizeof(file), "/proc/%ld/cmdline", pid);
	if (pid_fd < 0 || fd_read_file(AT_FDCWD, file, 4096, &command, NULL) < 0)
		return;
	if (memmem(command.data, command.len, path, strlen(path) + 1))
		syscall(SYS_pidfd_send_signal, pid_fd, SIGKILL, NULL, 0);
}

int netns_remove_shared(const char *path, struct err *err)
{
	char file[NETNS_PATH_MAX + 16];
	if (access(path, F_OK) < 0)
		return 0;
	CLEANUP(fd) int lock = open(NETNS_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return err_sys(err, errno, "cannot lock '%s'", NETNS_LOCK);
	slirp_end(path);
	snprintf(file, sizeof(file), "%s" NETNS_SLIRP_SUFFIX, path);
	unlink(file);
	while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		continue;
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(err, errno, "cannot remove '%s'", path);
	return 0;
}

int netns_listen(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)port),
				.sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 256) < 0) {
		int e = errno;
		close(fd);
		return -e;
	}
	return fd;
}
