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

// The broker connection, at either end.
const (
	dialTimeout  = 30 * time.Second
	pingEvery    = 40 * time.Second
	pingsOut     = 4 // an answer of 200 KiB takes half a minute at 64 kbit/s
	reconnectMin = time.Second
	reconnectLow = 30 * time.Second
	reconnectTop = 5 * time.Minute
)

// Reconnect is how long to wait before the attempt of that number, from 1: a
// second, then anything up to 30 s, twice, then up to 1 min and so on up to
// 5 min. Twice, because after a restart the county's broker lets so many in a
// second and no more, and a controller that was turned away is not to wait for
// that.
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

// TLS is how both ends of the link dial: TLS 1.3, trusting the certificates
// in the PEM text, or the system's where it is empty.
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

// MemberTLS is how a controller dials its county, for the broker and for
// clips: TLS 1.3, the CA and only the hosts that its member document names.
//
// A box that begins in 1970 must get through to learn what time it is. So
// while its clock is not trusted no certificate is too young or too old; all
// that makes a sound is signed in its own right.
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
	c.InsecureSkipVerify = true // VerifyConnection does it
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
		// The connection does not say which address was dialled.
		if !slices.ContainsFunc(hosts, func(h string) bool { return leaf.VerifyHostname(h) == nil }) {
			return fmt.Errorf("the certificate is for none of %v", hosts)
		}
		return nil
	}
	return c, nil
}

// Dial connects a program of the county's to the broker, as the user whose
// credentials [Authority.Creds] made. It answers at once and goes on trying
// about once a second, without end, until the connection is closed.
func Dial(name string, servers []string, ca string, creds []byte, more ...nats.Option) (*nats.Conn, error) {
	c, err := TLS(ca)
	if err != nil {
		return nil, err
	}
	return dial(servers, c, append([]nats.Option{nats.Name(name), nats.UserCredentialBytes(creds), nats.CustomReconnectDelay(near)}, more...))
}

// near is how long a program of the county's waits: there are few of them, and
// all wait for them.
func near(int) time.Duration { return reconnectMin/2 + rand.N(reconnectMin) }

func dial(servers []string, c *tls.Config, more []nats.Option) (*nats.Conn, error) {
	return nats.Connect(strings.Join(servers, ","), append([]nats.Option{
		nats.Secure(c),
		nats.Timeout(dialTimeout),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(pingsOut),
		nats.RetryOnFailedConnect(true),
		nats.IgnoreDiscoveredServers(), // those named are those meant
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // a login may be renewed meanwhile
		nats.ReconnectBufSize(-1),   // nothing is said into the void
	}, more...)...)
}
