package ingest

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A child reads what strangers made, or is a program that a config names. If it is
// taken over, it must not sound anything, reach anybody or change a file: it only
// writes to its pipes. The kernel sees to that where it can, by Landlock (since Linux
// 5.13) and seccomp.

// confine confines this thread, and every program that it starts from now on: they can
// open no socket, trace no other process, gain no rights, and write to no file but
// temporary ones. What the kernel does not know is left out. A thread that is confined
// stays so until it ends.
func confine() error {
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
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return nil // this kernel has no Landlock, or does not use it
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
// bounds.
var denied = []uint32{
	unix.SYS_SOCKET, unix.SYS_IO_URING_SETUP, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV,
	unix.SYS_PIDFD_GETFD, unix.SYS_BPF, unix.SYS_KEYCTL,
}

// confineCalls denies system calls to this thread: they fail, and do not end the
// program.
func confineCalls() error {
	arch, known := architectures[runtime.GOARCH]
	if !known {
		return nil
	}
	const (
		load    = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		atLeast = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		end     = unix.BPF_RET | unix.BPF_K

		number, machine = 0, 4    // offsets in struct seccomp_data
		x32             = 1 << 30 // the numbers of another way to call, on amd64
		deny            = unix.SECCOMP_RET_ERRNO | uint32(unix.EACCES)
	)
	filter := []unix.SockFilter{
		{Code: load, K: machine},
		{Code: equal, K: arch, Jt: 1},
		{Code: end, K: deny}, // calls of another machine have other numbers
		{Code: load, K: number},
		{Code: atLeast, K: x32, Jf: 1},
		{Code: end, K: deny},
	}
	for _, call := range denied {
		filter = append(filter, unix.SockFilter{Code: equal, K: call, Jf: 1}, unix.SockFilter{Code: end, K: deny})
	}
	filter = append(filter, unix.SockFilter{Code: end, K: unix.SECCOMP_RET_ALLOW})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
	runtime.KeepAlive(filter)
	if errors.Is(err, unix.EINVAL) {
		return nil // this kernel has no seccomp
	}
	return err
}
