package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/data/secret"
	"dalaba/link"
)

// brokerFlags are the flags of broker.
type brokerFlags struct {
	name, listen, cluster, accounts string
	routes, also                    []string
}

// brokerCmd writes what a stock nats-server needs to replace the embedded one:
// the same accounts, and a certificate that controllers accept.
func (a *app) brokerCmd() *cobra.Command {
	var o brokerFlags
	c := &cobra.Command{
		Use: "broker " + a.Say("county.use_folder"), Short: a.Say("county.broker_short"), Long: a.Say("county.broker_long"), Args: a.oneArg("folder"),
		RunE: func(_ *cobra.Command, args []string) error { return a.broker(args[0], o) },
	}
	f := c.Flags()
	f.StringVar(&o.name, "name", "", a.Say("county.flag_broker_name"))
	f.StringVar(&o.listen, "listen", "0.0.0.0:4222", a.Say("county.flag_broker_listen"))
	f.StringVar(&o.cluster, "cluster", "", a.Say("county.flag_broker_cluster"))
	f.StringSliceVar(&o.routes, "route", nil, a.Say("county.flag_broker_route"))
	f.StringSliceVar(&o.also, "also", nil, a.Say("county.flag_broker_also"))
	f.StringVar(&o.accounts, "accounts", "", a.Say("county.flag_broker_accounts"))
	return c
}

// broker writes the broker's files into dir.
func (a *app) broker(dir string, o brokerFlags) error {
	s, err := a.load()
	if err != nil {
		return err
	}
	if o.name == "" || strings.ContainsAny(o.name, "\"\\\n ") {
		return cli.Refuse(sayM("county.need_name"))
	}
	host, port, err := net.SplitHostPort(o.listen)
	n := 0
	if _, perr := fmt.Sscan(port, &n); err != nil || perr != nil {
		return cli.Refuse(sayM("county.conf_address", o.listen))
	}
	auth, err := link.ReadAuthority(authorityFile(s))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	crt, err := brokerCert(s, dir, o.name, o.also, time.Now())
	if err != nil {
		return err
	}
	if o.accounts == "" {
		o.accounts = filepath.Join(dir, "accounts")
	}
	text, err := link.Broker{
		Name: o.name, Host: host, Port: n, Cert: crt.cert, Key: crt.key, Dir: o.accounts, Operator: auth.Operator, System: auth.System, Account: auth.Account,
	}.Config()
	if err != nil {
		return err
	}
	if o.cluster != "" {
		// What controllers are shown is for servers only.
		crt, err = issueCert(s, filepath.Join(dir, "cluster"), append([]string{o.name}, o.also...), member, time.Now())
		if err != nil {
			return err
		}
		text += clusterBlock(o.cluster, o.routes, crt)
	}
	file := filepath.Join(dir, "nats.conf")
	if err := secret.Write(file, []byte(text)); err != nil {
		return err
	}
	a.Println(a.Say("county.broker_written", file, file))
	return nil
}

// brokerCert writes into dir the certificate that a broker shows. Programs must
// accept it as they accept the county's: it is the operator's certificate if the
// config has one, else one of the county's own authority. They dial the broker
// by the other names that it has, or by its only one.
func brokerCert(s *settings, dir, name string, also []string, now time.Time) (certs, error) {
	if s.HTTP.Cert == "" {
		return issueCert(s, dir, append([]string{name}, also...), serverOnly, now)
	}
	pair, err := loadPair(s.HTTP.Cert, s.HTTP.Key)
	if err != nil {
		return certs{}, err
	}
	if len(also) == 0 {
		also = []string{name}
	}
	for _, host := range also {
		if pair.Leaf.VerifyHostname(host) != nil {
			return certs{}, cli.Refuse(sayM("county.broker_cert", s.HTTP.Cert, host))
		}
	}
	c := certs{cert: filepath.Join(dir, "server.pem"), key: filepath.Join(dir, "server.key")}
	cert, err := os.ReadFile(s.HTTP.Cert)
	if err != nil {
		return c, err
	}
	key, err := secret.Read(s.HTTP.Key)
	if err != nil {
		return c, err
	}
	return c, errors.Join(secret.Write(c.cert, cert), secret.Write(c.key, key))
}

// clusterBlock joins brokers by TLS in both directions, each with a certificate
// of the county's authority.
func clusterBlock(listen string, routes []string, c certs) string {
	var b strings.Builder
	fmt.Fprintf(&b, "cluster {\n  name: \"dalaba\"\n  listen: %q\n  tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true, timeout: 10 }\n  routes: [\n",
		listen, c.cert, c.key, c.caFile)
	for _, r := range routes {
		fmt.Fprintf(&b, "    %q\n", r)
	}
	b.WriteString("  ]\n}\n")
	return b.String()
}
