package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/link"
)

// brokerCmd writes what a stock nats-server needs to take the embedded one's
// place: the same accounts, a certificate that is believed as its own is.
func (a *app) brokerCmd() *cobra.Command {
	var name, listen, cluster, dir string
	var routes, names []string
	c := &cobra.Command{
		Use: "broker DIR", Short: a.Say("county.broker_short"), Long: a.Say("county.broker_long"), Args: a.oneArg("folder"),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := a.load()
			if err != nil {
				return err
			}
			if name == "" || strings.ContainsAny(name, "\"\\\n ") {
				return cli.Refuse(sayM("county.need_name"))
			}
			host, port, err := net.SplitHostPort(listen)
			n := 0
			if _, perr := fmt.Sscan(port, &n); err != nil || perr != nil {
				return cli.Refuse(sayM("county.conf_address", listen))
			}
			auth, err := link.ReadAuthority(authorityFile(s))
			if err != nil {
				return err
			}
			if err := os.MkdirAll(args[0], 0o700); err != nil {
				return err
			}
			crt, err := brokerCert(s, args[0], name, names, time.Now())
			if err != nil {
				return err
			}
			if dir == "" {
				dir = filepath.Join(args[0], "accounts")
			}
			text, err := link.Broker{
				Name: name, Host: host, Port: n, Cert: crt.cert, Key: crt.key, Dir: dir, Operator: auth.Operator, System: auth.System, Account: auth.Account,
			}.Config()
			if err != nil {
				return err
			}
			if cluster != "" {
				if s.HTTP.Cert != "" {
					// One from elsewhere may be for servers only, and for other names.
					crt, err = issueCert(s, filepath.Join(args[0], "cluster"), append([]string{name}, names...), time.Now())
					if err != nil {
						return err
					}
				}
				text += clusterBlock(cluster, routes, crt)
			}
			file := filepath.Join(args[0], "nats.conf")
			if err := renameio.WriteFile(file, []byte(text), 0o600); err != nil {
				return err
			}
			a.Println(a.Say("county.broker_written", file, file))
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&name, "name", "", a.Say("county.flag_broker_name"))
	f.StringVar(&listen, "listen", "0.0.0.0:4222", a.Say("county.flag_broker_listen"))
	f.StringVar(&cluster, "cluster", "", a.Say("county.flag_broker_cluster"))
	f.StringSliceVar(&routes, "route", nil, a.Say("county.flag_broker_route"))
	f.StringSliceVar(&names, "also", nil, a.Say("county.flag_broker_also"))
	f.StringVar(&dir, "accounts", "", a.Say("county.flag_broker_accounts"))
	return c
}

// brokerCert lays in dir what a broker shows to those who dial it, which must
// be what they believe the county itself by: the operator's certificate where
// the config has one, else one of the county's own authority. They dial it by
// the other names that it has, or by its only one.
func brokerCert(s *settings, dir, name string, also []string, now time.Time) (certs, error) {
	if s.HTTP.Cert == "" {
		return issueCert(s, dir, append([]string{name}, also...), now)
	}
	pair, err := tls.LoadX509KeyPair(s.HTTP.Cert, s.HTTP.Key)
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
	for from, to := range map[string]string{s.HTTP.Cert: c.cert, s.HTTP.Key: c.key} {
		text, err := os.ReadFile(from)
		if err != nil {
			return c, err
		}
		if err := renameio.WriteFile(to, text, 0o600, renameio.IgnoreUmask()); err != nil {
			return c, err
		}
	}
	return c, nil
}

// clusterBlock joins brokers by TLS in both directions, each known by the
// county's authority.
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
