package link

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"dalaba/playlist"
)

// Limits of the connection to the broker, for controllers and for the county's
// programs.
const (
	dialTimeout  = 30 * time.Second
	pingEvery    = 40 * time.Second
	pingsOut     = 4 // a response of 200 KiB takes half a minute at 64 kbit/s
	reconnectMin = time.Second
	reconnectLow = 30 * time.Second
	reconnectTop = 5 * time.Minute
)

// Reconnect returns how long to wait before an attempt to connect; the first
// attempt is 1. It is 1 s before the first; a random time of up to 30 s before the
// second and the third; then up to 1 min, 2 min, 4 min and, from then on, 5 min.
// Two attempts have the limit of 30 s because a restarted broker accepts only so
// many connections a second: a controller that it rejected for that reason should
// not have to wait longer.
func Reconnect(attempt int) time.Duration {
	if attempt <= 1 {
		return reconnectMin
	}
	top := reconnectTop
	if n := max(0, attempt-3); n < 4 {
		top = min(reconnectTop, reconnectLow<<n)
	}
	return rand.N(top)
}

// TLS returns the TLS settings with which both ends of the link connect: TLS 1.3
// and, as CAs, the certificates in the PEM text; the system's if it is empty.
func TLS(ca string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS13}
	if ca != "" {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			return nil, fmt.Errorf("%w: no certificate in the CA's PEM", playlist.ErrInvalid)
		}
	}
	return c, nil
}

// MemberTLS returns the TLS settings with which a controller connects to its
// county, for the broker and for clips: TLS 1.3, and only the CA and the hosts
// that its member document names.
//
// A controller whose clock starts in 1970 must be able to connect to learn the
// time. So while its clock is not trusted, MemberTLS ignores when a certificate
// begins and expires. That is safe: everything that makes a sound has a signature
// of its own.
func MemberTLS(m Member, now func() time.Time, trusted func() bool) (*tls.Config, error) {
	c, err := TLS(m.CA)
	if err != nil {
		return nil, err
	}
	var hosts []string
	for _, s := range slices.Concat(m.Servers, m.Clips) {
		if u, err := url.Parse(s); err == nil && u.Hostname() != "" {
			hosts = append(hosts, u.Hostname())
		}
	}
	c.InsecureSkipVerify = true // VerifyConnection verifies instead
	c.VerifyConnection = func(s tls.ConnectionState) error {
		leaf, o := s.PeerCertificates[0], x509.VerifyOptions{Roots: c.RootCAs, Intermediates: x509.NewCertPool(), CurrentTime: now()}
		for _, more := range s.PeerCertificates[1:] {
			o.Intermediates.AddCert(more)
		}
		if !trusted() && (o.CurrentTime.Before(leaf.NotBefore) || o.CurrentTime.After(leaf.NotAfter)) {
			o.CurrentTime = leaf.NotBefore
		}
		if _, err := leaf.Verify(o); err != nil {
			return err
		}
		// The connection does not say which host was dialled: accept any of them.
		if !slices.ContainsFunc(hosts, func(h string) bool { return leaf.VerifyHostname(h) == nil }) {
			return fmt.Errorf("the certificate is for none of %v", hosts)
		}
		return nil
	}
	return c, nil
}

// Dial connects one of the county's programs to the broker, as the user whose
// credentials [Authority.Creds] made. It returns at once. The connection tries
// again about once a second, without end, until it is closed.
func Dial(name string, servers []string, ca string, creds []byte, more ...nats.Option) (*nats.Conn, error) {
	c, err := TLS(ca)
	if err != nil {
		return nil, err
	}
	return dial(servers, append([]nats.Option{
		nats.Secure(c), nats.Name(name), nats.UserCredentialBytes(creds), nats.CustomReconnectDelay(countyReconnect),
	}, more...))
}

// DialInside is [Dial] for the program that the broker runs in. The connection takes no
// descriptor, and no limit on connections counts it.
func DialInside(name string, broker nats.InProcessConnProvider, creds []byte) (*nats.Conn, error) {
	return dial(nil, []nats.Option{
		nats.InProcessServer(broker), nats.Name(name), nats.UserCredentialBytes(creds), nats.CustomReconnectDelay(countyReconnect),
	})
}

// countyReconnect returns how long one of the county's programs waits before it
// connects again: 0.5 to 1.5 s. They are few, and all controllers depend on them.
func countyReconnect(int) time.Duration { return reconnectMin/2 + rand.N(reconnectMin) }

func dial(servers []string, more []nats.Option) (*nats.Conn, error) {
	return nats.Connect(strings.Join(servers, ","), append([]nats.Option{
		nats.Timeout(dialTimeout),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(pingsOut),
		nats.RetryOnFailedConnect(true),
		nats.IgnoreDiscoveredServers(), // connect only to the servers that were named
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // the login may be renewed while we retry
		nats.ReconnectBufSize(-1),   // a message sent while disconnected is an error, not queued
	}, more...)...)
}
