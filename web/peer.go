package web

import (
	"net"

	"golang.org/x/sys/unix"
)

// Peer returns who is at the other end of a unix socket, as the kernel says.
func Peer(c net.Conn) (*unix.Ucred, error) {
	conn, ok := c.(*net.UnixConn)
	if !ok {
		return nil, net.ErrClosed
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var (
		peer *unix.Ucred
		perr error
	)
	err = raw.Control(func(fd uintptr) { peer, perr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err != nil {
		return nil, err
	}
	return peer, perr
}
