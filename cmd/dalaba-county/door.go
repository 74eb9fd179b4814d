package main

import (
	"context"
	"errors"
	"net"
	"reflect"
	"syscall"
	"unsafe"

	"github.com/nats-io/nats-server/v2/server"

	"dalaba/link"
)

// openDoor puts a door in front of a broker that does not run yet: the broker then
// accepts what the door lets in. The server uses a listener that it has when it starts,
// but has no option for one. To copy each byte between a listener of ours and one of the
// server's would cost three descriptors and two goroutines more for each controller.
func (c *centre) openDoor(o *server.Options, host, port string) error {
	config := net.ListenConfig{KeepAlive: -1} // the server sends its own pings
	l, err := config.Listen(context.Background(), "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return err
	}
	c.door = link.NewDoor(l, maxGuests(), c.log)
	o.TLSConfig.GetConfigForClient = c.door.Hello
	if c.broker, err = server.NewServer(o); err == nil {
		err = setListener(c.broker, c.door)
	}
	if err != nil {
		return errors.Join(err, l.Close())
	}
	return nil
}

// setListener gives a server its listener.
func setListener(s *server.Server, l net.Listener) error {
	f := reflect.ValueOf(s).Elem().FieldByName("listener")
	if !f.IsValid() || f.Type() != reflect.TypeFor[net.Listener]() {
		return errors.New("this version of nats-server keeps its listener elsewhere")
	}
	*(*net.Listener)(unsafe.Pointer(f.UnsafeAddr())) = l
	return nil
}

// maxGuests returns how many connections that have not logged in the door may let in: they
// must leave descriptors for the others.
func maxGuests() int { return descriptors() / 8 }

// descriptors returns how many files and connections we may have open; 0 if that is not
// known.
func descriptors() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0
	}
	return int(min(r.Cur, 1<<20))
}

// loggedIn tells the door which connection has logged in.
func (c *centre) loggedIn(id string, client uint64) {
	if c.broker == nil || id != c.broker.ID() {
		return
	}
	if one := c.broker.GetClient(client); one != nil {
		c.door.LoggedIn(one.RemoteAddress())
	}
}
