package main

import (
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
// place: the same accounts, a certificate of the same authority.
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
			crt, err := issueCert(s, args[0], append([]string{name}, names...), time.Now())
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
