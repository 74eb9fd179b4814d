package ingest

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A child reads what strangers made, or is a program that a config names. If it is
// taken over, it must not sound anything, reach anybody or change a file: it only
// writes to its pipes. The kernel sees to that where it can, by Landlock (since Linux
// 5.13) and seccomp.

// confine confines this thread, and every program that it starts from now on: they can
// open no socket, neither trace nor signal nor slow down another process, gain no
// rights, write to no file but temporary ones, and change the mode, the owner or the
// times of none. Root's have none of root's rights but to read. What the kernel does not
// know is left out. A thread that is confined stays so until it ends.
func confine() error {
	if err := dropRights(); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	if err := confineFiles(); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	if err := confineCalls(); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	return nil
}

// writes are the rights to change files, by the version of Landlock that first knew
// them.
var writes = []struct {
	since  uintptr
	rights uint64
}{
	{1, unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG |
		unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_MAKE_SYM},
	{2, unix.LANDLOCK_ACCESS_FS_REFER},
	{3, unix.LANDLOCK_ACCESS_FS_TRUNCATE},
}

// scopes are what a process outside may not be sent, since version 6: signals, and
// messages by abstract sockets.
const scopes, scopesSince = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL, 6

// writable are the places where a program may write all the same.
var writable = []string{"/tmp", "/var/tmp", "/dev/shm", "/dev/null", "/dev/zero", "/dev/full"}

// confineFiles lets this thread change files in the places that are writable, and no others.
func confineFiles() error {
	version := landlockVersion()
	if version == 0 {
		return nil
	}
	var rules unix.LandlockRulesetAttr
	for _, w := range writes {
		if version >= w.since {
			rules.Handled_access_fs |= w.rights
		}
	}
	size := unsafe.Sizeof(rules.Handled_access_fs) // as the first version has it
	if version >= scopesSince {
		rules.Scoped = scopes
		size = unsafe.Offsetof(rules.Scoped) + unsafe.Sizeof(rules.Scoped)
	}
	set, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), size, 0)
	if errno != 0 {
		return errno
	}
	defer func() { _ = unix.Close(int(set)) }()
	for _, path := range writable {
		if err := allowWrites(int(set), path, rules.Handled_access_fs); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, set, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// landlockVersion returns the version of Landlock that this kernel has; 0 if it has none
// or does not use it.
func landlockVersion() uintptr {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return version
}

// allowWrites adds a file, or a folder and all below it, to a set of rules.
func allowWrites(set int, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(set), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// architectures are the values that seccomp has for the machines that dalaba is built
// for.
var architectures = map[string]uint32{
	"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64, "arm": unix.AUDIT_ARCH_ARM,
}

// denied are the system calls that no child needs, and by which one could leave its
// bounds. deniedBefore are those that only some machines have; signals are denied where
// Landlock does not confine them.
var (
	denied = []uint32{
		unix.SYS_SOCKET, unix.SYS_IO_URING_SETUP, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV,
		unix.SYS_PROCESS_MADVISE, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP, unix.SYS_MOVE_PAGES, unix.SYS_MIGRATE_PAGES,
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
		unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_OPEN_BY_HANDLE_AT,

		unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT,
		unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_SETXATTRAT,
		unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR, unix.SYS_REMOVEXATTRAT, unix.SYS_FILE_SETATTR,
	}
	signals = []uint32{unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_TGKILL, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO}
)

// ofItself are system calls that a child may only make about itself: allowed if each of
// these arguments has this value.
var ofItself = []struct {
	call  uint32
	which []argument
}{
	{unix.SYS_PRLIMIT64, []argument{{0, 0}}},
	{unix.SYS_SETPRIORITY, []argument{{0, unix.PRIO_PROCESS}, {1, 0}}},
	{unix.SYS_IOPRIO_SET, []argument{{0, 1}, {1, 0}}}, // IOPRIO_WHO_PROCESS
	{unix.SYS_SCHED_SETSCHEDULER, []argument{{0, 0}}},
	{unix.SYS_SCHED_SETPARAM, []argument{{0, 0}}},
	{unix.SYS_SCHED_SETATTR, []argument{{0, 0}}},
	{unix.SYS_SCHED_SETAFFINITY, []argument{{0, 0}}},
}

// argument is one of a system call, and a value of its lower 32 bits.
type argument struct{ n, value uint32 }

// terminal are requests by which a program types into its terminal.
var terminal = []uint32{unix.TIOCSTI, unix.TIOCLINUX}

// namespaces are the flags of clone(2) that make namespaces.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// confineCalls denies system calls to this thread: they fail, and do not end the
// program.
func confineCalls() error {
	arch, known := architectures[runtime.GOARCH]
	if !known {
		return nil
	}
	filter := callFilter(arch)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
	runtime.KeepAlive(filter)
	if errors.Is(err, unix.EINVAL) {
		return nil // this kernel has no seccomp
	}
	return err
}

// callFilter returns the filter of system calls for a machine. Linux gives it a struct
// seccomp_data; see seccomp(2).
func callFilter(arch uint32) []unix.SockFilter {
	const (
		load    = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		atLeast = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		anyOf   = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		end     = unix.BPF_RET | unix.BPF_K

		number, machine = 0, 4    // offsets
		x32             = 1 << 30 // the numbers of another way to call, on amd64
		allow           = unix.SECCOMP_RET_ALLOW
		deny            = unix.SECCOMP_RET_ERRNO | uint32(unix.EACCES)
		absent          = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	)
	// Each machine that we build for has the lower half of an argument first.
	at := func(n uint32) uint32 { return 16 + 8*n }
	filter := []unix.SockFilter{
		{Code: load, K: machine},
		{Code: equal, K: arch, Jt: 1},
		{Code: end, K: deny}, // calls of another machine have other numbers
		{Code: load, K: number},
		{Code: atLeast, K: x32, Jf: 1},
		{Code: end, K: deny},
	}
	calls := slices.Concat(denied, deniedBefore)
	if landlockVersion() < scopesSince {
		calls = append(calls, signals...)
	}
	for _, call := range calls {
		filter = append(filter, unix.SockFilter{Code: equal, K: call, Jf: 1}, unix.SockFilter{Code: end, K: deny})
	}
	// What a call with arguments is judged by loads these, so it ends there.
	judge := func(call uint32, by ...unix.SockFilter) {
		filter = append(filter, unix.SockFilter{Code: equal, K: call, Jf: uint8(len(by))})
		filter = append(filter, by...)
	}
	for _, c := range ofItself {
		var by []unix.SockFilter
		for _, a := range c.which {
			by = append(by, unix.SockFilter{Code: load, K: at(a.n)}, unix.SockFilter{Code: equal, K: a.value, Jt: 1}, unix.SockFilter{Code: end, K: deny})
		}
		judge(c.call, append(by, unix.SockFilter{Code: end, K: allow})...)
	}
	by := []unix.SockFilter{{Code: load, K: at(1)}}
	for _, request := range terminal {
		by = append(by, unix.SockFilter{Code: equal, K: request, Jf: 1}, unix.SockFilter{Code: end, K: deny})
	}
	judge(unix.SYS_IOCTL, append(by, unix.SockFilter{Code: end, K: allow})...)
	judge(unix.SYS_CLONE, []unix.SockFilter{
		{Code: load, K: at(0)}, {Code: anyOf, K: namespaces, Jf: 1}, {Code: end, K: deny}, {Code: end, K: allow},
	}...)
	// Its arguments lie where a filter cannot see them; the C library then uses clone.
	judge(unix.SYS_CLONE3, unix.SockFilter{Code: end, K: absent})
	return append(filter, unix.SockFilter{Code: end, K: allow})
}

// dropRights takes all capabilities from this thread and from what it starts, but that
// to read files: root's source may belong to another user.
func dropRights() error {
	const kept = unix.CAP_DAC_READ_SEARCH
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var has [2]unix.CapUserData
	if err := unix.Capget(&head, &has[0]); err != nil {
		return err
	}
	if has[0].Permitted|has[1].Permitted == 0 {
		return nil
	}
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if c != kept {
			_ = unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0) // EINVAL: this kernel does not know it
		}
	}
	_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	only := has[0].Permitted & (1 << kept)
	left := [2]unix.CapUserData{{Effective: only, Permitted: only}}
	return unix.Capset(&head, &left[0])
}
