package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"dalaba/alert"
	"dalaba/cmd/cli"
	"dalaba/controller/wording"
	"dalaba/county"
	"dalaba/county/store"
	"dalaba/data"
	"dalaba/data/secret"
	"dalaba/ingest"
	"dalaba/link"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/web"
)

// serveCmd is the server.
func (a *app) serveCmd() *cobra.Command {
	verbose := false
	c := &cobra.Command{
		Use:   "serve",
		Short: a.Say("county.serve_short"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.serve(c.Context(), verbose) },
	}
	c.Flags().BoolVar(&verbose, "verbose", false, a.Say("run.flag_verbose"))
	return c
}

// console is where log lines go: to standard error, on a terminal in words for people
// unless verbose is set.
func (a *app) console(verbose bool, zone *time.Location) slog.Handler {
	if verbose || !cli.IsTerminal(a.Err) {
		return data.TextHandler(a.Err)
	}
	words := wording.Log{Lang: a.Language(), Zone: zone}
	return data.EventHandler(func(e asrun.Event) { fmt.Fprintln(a.Err, cli.LogLine(words, e, cli.Width(a.Err), a.Colour())) }, nil)
}

// places of files within the data folder.
func keysDir(s *settings) string       { return filepath.Join(s.County.DataDir, "keys") }
func authorityFile(s *settings) string { return filepath.Join(keysDir(s), "broker.json") }
func tokenFile(s *settings) string     { return filepath.Join(s.County.DataDir, "admin.token") }
func socketFile(s *settings) string    { return filepath.Join(s.County.DataDir, "county.sock") }

// centre is `dalaba-county serve`: a county with its broker and its sockets.
type centre struct {
	*app
	s       *settings
	log     *slog.Logger
	store   *store.Store
	options county.Options // of the county, complete once the broker is connected
	certs   certs
	public  net.Listener
	socket  net.Listener
	broker  *server.Server // nil: it is elsewhere
	door    *link.Door     // in front of it
	urls    []string       // of the broker, for our own programs
}

// memoryShare is how much of the machine's memory, or of what its control group may
// take, we fill before we collect garbage at any cost. GOMEMLIMIT says otherwise.
const memoryShare = 0.6

func (a *app) serve(ctx context.Context, verbose bool) (err error) {
	s, err := a.load()
	if err != nil {
		return err
	}
	a.Detach()
	c := &centre{app: a, s: s, log: slog.New(a.console(verbose, s.zone))}
	if _, err := memlimit.Set(memlimit.WithRatio(memoryShare), memlimit.WithProvider(memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem))); err != nil {
		c.log.Warn("the machine's memory is not known", "err", err)
	}
	a.ReportScreens(c.log)
	held, err := lock(s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	a.owner.Tell(c.log, s.County.DataDir)
	data.MakePrivate(s.County.DataDir).Tell(c.log, s.County.DataDir)
	ctx, damaged := context.WithCancelCause(ctx)
	defer damaged(nil)
	st, err := store.Open(ctx, store.Options{
		Dir: s.County.DataDir, URL: s.County.Store, Zone: s.zone, Log: c.log, OnDamage: func(error) { damaged(errDamaged) },
	})
	if errors.Is(err, store.ErrDamaged) {
		return sayM("county.damaged", err, filepath.Join(s.County.DataDir, "backup"))
	}
	if errors.Is(err, store.ErrInUse) {
		return sayM("store.in_use", s.County.DataDir)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	c.store = st
	if err := c.prepare(ctx); err != nil {
		return err
	}
	err = c.run(ctx)
	if errors.Is(context.Cause(ctx), errDamaged) {
		err = errors.Join(errDamaged, err)
	}
	return err
}

// lock keeps a second server away from the data folder: from an SQLite store,
// and from the socket and the other files in it.
func lock(s *settings) (*data.Held, error) {
	if data.Hidden(s.County.DataDir) {
		return nil, sayM("county.hidden")
	}
	held, err := data.Lock(s.County.DataDir)
	if errors.Is(err, data.ErrLocked) {
		pid, _ := data.Running(s.County.DataDir)
		return nil, sayM("county.running", pid, s.County.DataDir)
	}
	return held, err
}

// prepare makes what a first start makes, starts the broker, and opens the
// sockets so that their addresses are known.
func (c *centre) prepare(ctx context.Context) (err error) {
	s := c.s
	if err := c.setUp(); err != nil {
		return err
	}
	if c.public, err = net.Listen("tcp", s.HTTP.Listen); err != nil {
		return err
	}
	base, err := c.base()
	if err != nil {
		return err
	}
	names := append([]string{"localhost", "127.0.0.1", "::1", base.Hostname()}, s.HTTP.Names...)
	if host, _, err := net.SplitHostPort(s.NATS.Listen); err == nil && net.ParseIP(host) != nil && !net.ParseIP(host).IsUnspecified() {
		names = append(names, host)
	}
	if c.certs, err = ensureCerts(s, names, time.Now()); err != nil {
		return err
	}
	if err := c.readKeys(ctx); err != nil {
		return err
	}
	if err := c.startBroker(); err != nil {
		return err
	}
	o := &c.options
	o.CA, o.ClipURLs, o.Servers = c.certs.ca, []string{strings.TrimSuffix(base.String(), "/")}, s.NATS.Servers
	if len(o.Servers) == 0 {
		_, port, _ := net.SplitHostPort(strings.TrimPrefix(c.urls[0], "tls://"))
		o.Servers = []string{"tls://" + net.JoinHostPort(base.Hostname(), port)}
	}
	if o.Token, err = ensureToken(tokenFile(s)); err != nil {
		return err
	}
	return c.openSocket()
}

// setUp fills in the options that the config says.
func (c *centre) setUp() error {
	s := c.s
	trust, err := trustOptions(s)
	if err != nil {
		return err
	}
	signer, err := ebdSigner(s)
	if err != nil {
		return err
	}
	notify, err := recipients(s)
	if err != nil {
		return err
	}
	c.options = county.Options{
		Notify: notify,
		Name:   s.County.Name, Area: s.area, Zone: s.zone, Store: c.store, Log: c.log, Ingest: newIngester(s), Version: cli.Version(),
		Alerts: county.AlertRules{
			Trust: trust, Unsigned: s.Alert.Unsigned, Retirers: s.Alert.MayRetire, Life: s.life, Drills: s.Alert.Drills != nil && *s.Alert.Drills, Feeds: s.feeds,
			Review: s.review, ReviewWait: s.wait, SecondWait: s.second, Templates: s.Alert.Templates,
		},
		EBD: county.EBD{EBRID: s.EBD.EBRID, URL: s.EBD.URL, Upstream: s.EBD.Upstream, Partners: s.EBD.Partners, To: s.EBD.To, Heartbeat: s.heartbeat, Signer: signer},
	}
	return nil
}

// readKeys reads the county's keys, making them at the first start.
func (c *centre) readKeys(ctx context.Context) error {
	dir := keysDir(c.s)
	made, err := county.Found(ctx, c.store, dir)
	if err != nil {
		return err
	}
	if made {
		c.log.Warn("keys made; take the root keys, and best the playlist key too, to other places", "dir", dir)
	}
	if c.options.Keys, err = county.ReadKeys(dir); err != nil {
		return err
	}
	c.options.Authority, err = readAuthority(c.s)
	return err
}

// base is the address at which controllers reach us.
func (c *centre) base() (*url.URL, error) {
	if c.s.HTTP.URL != "" {
		return url.Parse(c.s.HTTP.URL)
	}
	host, port, err := net.SplitHostPort(c.public.Addr().String())
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		if host, err = os.Hostname(); err != nil {
			return nil, err
		}
	}
	return &url.URL{Scheme: "https", Host: net.JoinHostPort(host, port)}, nil
}

func readAuthority(s *settings) (*link.Authority, error) {
	a, err := link.ReadAuthority(authorityFile(s))
	if !errors.Is(err, fs.ErrNotExist) {
		return a, err
	}
	if a, err = link.NewAuthority(s.County.Name); err != nil {
		return nil, err
	}
	return a, link.WriteAuthority(authorityFile(s), a)
}

func ensureToken(path string) (string, error) {
	text, err := secret.Read(path)
	if err == nil && strings.TrimSpace(string(text)) != "" {
		return strings.TrimSpace(string(text)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // it never fails
	token := hex.EncodeToString(raw)
	return token, secret.Write(path, []byte(token+"\n"))
}

// brokerReady is how long the embedded broker may take to start.
const brokerReady = 20 * time.Second

// startBroker starts the embedded broker, unless there is another.
func (c *centre) startBroker() error {
	if len(c.s.NATS.URLs) > 0 {
		c.urls = c.s.NATS.URLs
		return nil
	}
	host, port, err := net.SplitHostPort(c.s.NATS.Listen)
	if err != nil {
		return err
	}
	a := c.options.Authority
	text, err := link.Broker{
		Name: "dalaba-county", Host: host, Port: -1, Door: true, Cert: c.certs.cert, Key: c.certs.key,
		Dir: filepath.Join(c.s.County.DataDir, "accounts"), Operator: a.Operator, System: a.System, Account: a.Account,
	}.Config()
	if err != nil {
		return err
	}
	// Without the short first ping: it comes two seconds after a connection was opened, and
	// a client whose login takes longer, because the machine is busy, gives up on it.
	o := &server.Options{NoLog: true, NoSigs: true, DisableShortFirstPing: true}
	if err := o.ProcessConfigString(text); err != nil {
		return err
	}
	if err := c.openDoor(o, host, port); err != nil {
		return err
	}
	c.broker.Start()
	if !c.broker.ReadyForConnections(brokerReady) {
		c.broker.Shutdown()
		return sayM("county.broker", c.s.NATS.Listen)
	}
	_, port, err = net.SplitHostPort(c.broker.Addr().String())
	if err != nil {
		return err
	}
	reach := host
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		reach = "127.0.0.1"
	}
	c.urls = []string{"tls://" + net.JoinHostPort(reach, port)}
	return nil
}

// openSocket opens the socket that only the operator of this machine can use.
func (c *centre) openSocket() error {
	path := socketFile(c.s)
	if len(path) > 100 {
		return sayM("county.long_path", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	c.socket = l
	return os.Chmod(path, 0o600)
}

func (c *centre) dial(name string) (*nats.Conn, error) {
	creds, err := c.options.Authority.Creds(name)
	if err != nil {
		return nil, err
	}
	if c.broker != nil {
		return link.DialInside("dalaba-county "+name, c.broker, creds)
	}
	return link.Dial("dalaba-county "+name, c.urls, c.certs.ca, creds)
}

// brokerWithin is how long the broker may take to accept an account.
const brokerWithin = 10 * time.Second

func (c *centre) run(ctx context.Context) (err error) {
	if c.broker != nil {
		defer func() {
			c.broker.Shutdown()
			c.broker.WaitForShutdown()
		}()
	}
	conns := map[string]*nats.Conn{}
	defer func() {
		for _, nc := range conns {
			nc.Close()
		}
	}()
	for _, user := range []string{link.UserPublisher, link.UserEdge, link.UserSystem} {
		if conns[user], err = c.dial(user); err != nil {
			return err
		}
	}
	publisher := &link.Publisher{Conn: conns[link.UserPublisher], Log: c.log}
	o := c.options
	o.Publish = publisher.Publish
	o.PushAccount = func(_ context.Context, a *link.Authority) error {
		return errors.Join(link.WriteAuthority(authorityFile(c.s), a), link.PushAccount(conns[link.UserSystem], a, brokerWithin))
	}
	o.Connected = conns[link.UserPublisher].IsConnected
	k := county.New(o)
	publisher.Standing = k.Standing
	edge := &link.Edge{Conn: conns[link.UserEdge], Store: k.Edge(), Key: o.Keys.Edge, Log: c.log}
	pair, err := tls.LoadX509KeyPair(c.certs.cert, c.certs.key)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	c.serveHTTP(ctx, group, k, pair)
	sessions := &link.Sessions{Conn: conns[link.UserSystem], Account: o.Authority.Account, Log: c.log, LoggedIn: c.loggedIn}
	group.Go(func() error { return sessions.Run(ctx) })
	group.Go(func() error { return edge.Run(ctx) })
	group.Go(func() error { return publisher.Run(ctx) })
	group.Go(func() error { return k.Run(ctx) })
	group.Go(func() error { return c.keep(ctx) })
	c.Println(c.Say("county.serving", o.Name, o.ClipURLs[0], strings.Join(o.Servers, " ")))
	_, _ = sd.SdNotify(false, sd.SdNotifyReady) // an error says only that systemd did not start us
	return group.Wait()
}

// headWithin is how long the head of a request may take, the handshake with it.
const headWithin = 15 * time.Second

// What strangers may open at once. An address may be that of many controllers, behind
// one line; those are no strangers once they have asked for a clip.
const (
	strangersOpen    = 512
	strangersFromOne = 128
)

// serveHTTP serves the network and the operator's socket until ctx ends.
func (c *centre) serveHTTP(ctx context.Context, group *errgroup.Group, k *county.County, pair tls.Certificate) {
	errorLog := slog.NewLogLogger(c.log.Handler(), slog.LevelDebug)
	conf := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1", "http/1.0"}}
	most := max(descriptors()/3, 64) // the broker and the operator's socket have the others
	var closed link.Tally
	guard := &web.Guard{Listener: c.public, Strangers: min(strangersOpen, most/2), PerSource: min(strangersFromOne, most/4), Most: most, Source: link.Source, Closed: func(from netip.Prefix) {
		closed.Warn(c.log, "", "too many connections of strangers; the oldest were closed", nil, "from", from)
	}}
	public := &http.Server{
		Handler: k.Public(), ConnContext: web.ConnContext, ErrorLog: errorLog, TLSConfig: conf,
		ReadHeaderTimeout: headWithin, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 16, MaxReceiveBufferPerConnection: 128 << 10, MaxReceiveBufferPerStream: 64 << 10},
	}
	local := func(ctx context.Context, c net.Conn) context.Context {
		peer, err := web.Peer(c)
		if err != nil {
			return county.As(ctx, "local")
		}
		return county.As(ctx, "local:"+secret.UserName(peer.Uid))
	}
	operator := &http.Server{Handler: k.Operator(), ConnContext: local, ReadHeaderTimeout: headWithin, IdleTimeout: 2 * time.Minute, ErrorLog: errorLog}
	for s, l := range map[*http.Server]net.Listener{public: tls.NewListener(guard, conf), operator: c.socket} {
		group.Go(func() error {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
		group.Go(func() error {
			<-ctx.Done()
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := s.Shutdown(end); err != nil {
				return s.Close()
			}
			return nil
		})
	}
}

// unreadable says what is wrong with a file that the config names.
func unreadable(key, path string, err error) error {
	return cli.Refuse(sayM("county.conf_unreadable", key, path, err))
}

// ebdSigner reads the key that signs our EBD packages; nil if the config names
// none.
func ebdSigner(s *settings) (*alert.Signer, error) {
	if s.EBD.Key == "" {
		return nil, nil
	}
	text, err := secret.Read(s.EBD.Key)
	if err != nil {
		return nil, unreadable("ebd.key", s.EBD.Key, err)
	}
	signer, err := alert.NewSigner(text, s.serial)
	if err != nil {
		return nil, unreadable("ebd.key", s.EBD.Key, sayM("county.conf_sm2"))
	}
	return signer, nil
}

// trustOptions reads the certificates and keys whose signatures hold.
func trustOptions(s *settings) (o alert.Options, err error) {
	for _, path := range s.Alert.Anchors {
		text, err := os.ReadFile(path)
		if err != nil {
			return o, unreadable("alert.anchors", path, err)
		}
		n := len(o.Anchors)
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return o, unreadable("alert.anchors", path, err)
			}
			o.Anchors = append(o.Anchors, cert)
		}
		if len(o.Anchors) == n {
			return o, unreadable("alert.anchors", path, errors.New("no PEM"))
		}
	}
	for _, path := range s.Alert.Certificates {
		raw, err := os.ReadFile(path)
		if err == nil {
			var cert alert.Certificate
			if cert, err = alert.ParseCertificate(raw); err == nil {
				o.Certificates = append(o.Certificates, cert)
			}
		}
		if err != nil {
			return o, unreadable("alert.certificates", path, err)
		}
	}
	for _, path := range s.Alert.Authorities {
		raw, err := os.ReadFile(path)
		if err == nil {
			var key alert.PublicKey
			if key, err = alert.ParsePublicKey(raw); err == nil {
				o.Authorities = append(o.Authorities, key)
			}
		}
		if err != nil {
			return o, unreadable("alert.authorities", path, err)
		}
	}
	return o, nil
}

// newIngester makes clips as the config says, and proves them with the player's
// own check and decoder.
func newIngester(s *settings) *ingest.Ingester {
	return &ingest.Ingester{
		FFmpeg: s.Ingest.FFmpeg, FFprobe: s.Ingest.FFprobe,
		Speech: ingest.Speech{Command: s.Ingest.Speech, Pace: s.Ingest.Pace, Words: s.Ingest.Words},
		Limits: ingest.Limits{Wall: s.timeout},
		Door: func(r io.Reader) (playlist.Clip, error) {
			info, err := player.Scan(r)
			return playlist.Clip{ID: info.ID, Frames: info.Frames, Size: info.Size}, err
		},
		Decode: func(r io.Reader) (ingest.Samples, error) { return player.OpenClip(r) },
	}
}
