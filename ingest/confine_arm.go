package ingest

import "golang.org/x/sys/unix"

var deniedBefore = []uint32{
	unix.SYS_CHMOD, unix.SYS_CHOWN, unix.SYS_LCHOWN, unix.SYS_CHOWN32, unix.SYS_LCHOWN32, unix.SYS_FCHOWN32, unix.SYS_UTIMES, unix.SYS_FUTIMESAT, unix.SYS_UTIMENSAT_TIME64,
}
