package link

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
)

// maxSessions is how many connections one login may have open. A controller needs one.
// It has more while the broker waits for connections whose line is gone, and while its
// program restarts.
const maxSessions = 3

// Sessions closes the oldest connections of a login that has too many. So a controller
// that comes back on a new line is never refused for connections that are dead, and one
// that opens thousands keeps a few.
type Sessions struct {
	Conn    *nats.Conn // as the user "system"
	Account string     // JWT of the account, as in [Authority]
	Log     *slog.Logger

	// LoggedIn is called with each connection that logs in: the broker's ID and that
	// of the connection in it. It may be nil.
	LoggedIn func(server string, client uint64)

	refusals Tally
}

// session is one connection to a broker.
type session struct {
	server string
	client uint64
}

// loginEvent is what the broker reports when a connection has logged in or is closed.
type loginEvent struct {
	Server struct {
		ID string `json:"id"`
	} `json:"server"`
	Client struct {
		ID   uint64 `json:"id"`
		User string `json:"user"`
		Name string `json:"name"`
	} `json:"client"`
}

// Run goes by what the broker reports until ctx ends.
func (s *Sessions) Run(ctx context.Context) error {
	account, err := jwt.DecodeAccountClaims(s.Account)
	if err != nil {
		return err
	}
	defer s.refusals.Flush()
	events := make(chan *nats.Msg, edgeQueue)
	opened := "$SYS.ACCOUNT." + account.Subject + ".CONNECT"
	for _, subject := range []string{opened, "$SYS.ACCOUNT." + account.Subject + ".DISCONNECT"} {
		sub, err := s.Conn.ChanSubscribe(subject, events)
		if err != nil {
			return err
		}
		defer func() { _ = sub.Unsubscribe() }()
	}
	open := map[string][]session{} // by user, the oldest first
	for {
		var m *nats.Msg
		select {
		case <-ctx.Done():
			return nil
		case m = <-events:
		}
		var e loginEvent
		if err := json.Unmarshal(m.Data, &e); err != nil || e.Client.User == "" {
			continue
		}
		one := session{e.Server.ID, e.Client.ID}
		if m.Subject != opened {
			forgetSession(open, e.Client.User, one)
			continue
		}
		if s.LoggedIn != nil {
			s.LoggedIn(one.server, one.client)
		}
		all := append(open[e.Client.User], one)
		if len(all) > maxSessions {
			s.close(all[0], e.Client.Name)
			all = all[1:]
		}
		open[e.Client.User] = all
	}
}

// forgetSession deletes a session that is closed.
func forgetSession(open map[string][]session, user string, one session) {
	left := slices.DeleteFunc(open[user], func(o session) bool { return o == one })
	if len(left) == 0 {
		delete(open, user)
		return
	}
	open[user] = left
}

// close has the broker close a connection.
func (s *Sessions) close(one session, name string) {
	s.refusals.Warn(s.Log, name, "controller connected too often, oldest connection closed", nil, "controller", name)
	// The broker ignores a request without a reply subject. Nobody reads the reply.
	if err := s.Conn.PublishRequest("$SYS.REQ.SERVER."+one.server+".KICK", s.Conn.NewInbox(), fmt.Appendf(nil, `{"cid":%d}`, one.client)); err != nil {
		s.refusals.Warn(s.Log, name, "connection not closed", err, "controller", name)
	}
}
