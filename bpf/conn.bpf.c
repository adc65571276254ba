/*
 * conn: owner of the HTTP connections, named by their socket's inode number.
 *
 * sockfs numbers inodes over the whole life of the machine, so a number is not used twice within
 * any time that matters: no generations, and descriptors may be duplicated, passed or reused.
 */
#include "core.bpf.h"

#define CONNS_MAX 65536		/* least recently used: a close can be missed (exit, dup2) */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CONNS_MAX);
	__type(key, __u64);			/* inode */
	__type(value, struct conn);
} conns SEC(".maps");

static struct file *file_of(__u32 fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **slots, *file = NULL;

	if (fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	slots = BPF_CORE_READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), slots + fd);
	return file;
}

static bool is_http_family(const struct sock *sk, __u32 family)
{
	if (family == AF_UNIX)
		return true;
	return (family == AF_INET || family == AF_INET6) &&
	       BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP;
}

__hidden int conn_ref_get(struct conn_ref *ret, __u32 fd)
{
	struct file *file = file_of(fd);
	struct socket *socket;
	struct inode *inode;
	const struct sock *sk;

	if (!file)
		return -EBADF;
	inode = BPF_CORE_READ(file, f_inode);
	if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFSOCK)
		return -ENOENT;
	socket = BPF_CORE_READ(file, private_data);
	if (BPF_CORE_READ(socket, type) != SOCK_STREAM)
		return -ENOENT;
	sk = BPF_CORE_READ(socket, sk);
	ret->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (!sk || !is_http_family(sk, ret->family))
		return -ENOENT;
	ret->pad = 0;
	ret->sk = sk;
	ret->ino = BPF_CORE_READ(inode, i_ino);
	return 0;
}

__hidden bool conn_tcp_seq(const struct conn_ref *ref, enum wire_dir dir, __u32 *ret)
{
	const struct sock *sk = ref->sk;
	const struct tcp_sock *tcp = (const void *)sk;
	__u8 state;

	if (ref->family == AF_UNIX)
		return false;
	state = BPF_CORE_READ(sk, __sk_common.skc_state);
	if (dir == DIR_OUT && state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT)
		return false;	/* not connected yet: the first number is not chosen */
	*ret = dir == DIR_OUT ? BPF_CORE_READ(tcp, write_seq) : BPF_CORE_READ(tcp, copied_seq);
	return true;
}

__hidden struct conn *conn_get(__u64 ino)
{
	return bpf_map_lookup_elem(&conns, &ino);
}

/* ::ffff:a.b.c.d */
static void map_v4(__u8 *ret, __be32 address)
{
	ret[10] = ret[11] = 0xff;
	__builtin_memcpy(ret + 12, &address, sizeof(address));
}

static void sock_fill(struct wire_sock *ret, const struct conn_ref *ref, enum wire_role role)
{
	const struct sock *sk = ref->sk;

	ret->ino = ref->ino;
	ret->family = ref->family;
	ret->role = role;
	if (ref->family == AF_UNIX)
		return;
	ret->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	ret->peer_port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (ref->family == AF_INET) {
		map_v4(ret->local_addr, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
		map_v4(ret->peer_addr, BPF_CORE_READ(sk, __sk_common.skc_daddr));
		return;
	}
	bpf_core_read(ret->local_addr, sizeof(ret->local_addr), &sk->__sk_common.skc_v6_rcv_saddr);
	bpf_core_read(ret->peer_addr, sizeof(ret->peer_addr), &sk->__sk_common.skc_v6_daddr);
}

__hidden struct conn *conn_open(const struct conn_ref *ref, enum wire_role role)
{
	struct conn c = { 0 };

	sock_fill(&c.sock, ref, role);
	if (bpf_map_update_elem(&conns, &ref->ino, &c, BPF_ANY))
		count(FAIL_CONN_FULL);
	return conn_get(ref->ino);
}

/*
 * Only the process that used the connection last closes it: a child that inherited the socket and
 * closes its copy (before it executes something else) ends nothing. The file's reference count
 * would be no better: it is high for a moment whenever the program forks.
 */
__hidden bool conn_close(__u32 fd, __u64 *ret_ino)
{
	struct conn_ref ref;
	struct conn *c;

	if (conn_ref_get(&ref, fd))
		return false;
	c = conn_get(ref.ino);
	if (!c || c->tgid != bpf_get_current_pid_tgid() >> 32)
		return false;
	*ret_ino = ref.ino;
	bpf_map_delete_elem(&conns, &ref.ino);
	return true;
}
