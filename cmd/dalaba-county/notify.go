package main

import (
	"cmp"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/county/notice"
	"dalaba/county/notice/send"
	"dalaba/data/secret"
	"dalaba/playlist"
	"dalaba/playlist/say"
	"dalaba/web"
)

// notifySettings is a [[notify]] of the config file.
type notifySettings struct {
	Name        string   `toml:"name"`
	Kind        string   `toml:"kind"`
	WebhookFile string   `toml:"webhook_file"`
	Mail        []string `toml:"mail"`
	About       []string `toml:"about"`
	Areas       []string `toml:"areas"`
	Quiet       string   `toml:"quiet"`
	Limit       *int     `toml:"limit"`
	AllIsWell   string   `toml:"all_is_well"`
	Language    string   `toml:"language"`
}

// mailSettings is the [mail] of the config file.
type mailSettings struct {
	Host         string `toml:"host"`
	Port         *int   `toml:"port"`
	From         string `toml:"from"`
	User         string `toml:"user"`
	PasswordFile string `toml:"password_file"`
	TLS          string `toml:"tls"`

	port int
}

// The ways by which notices go out.
const (
	byWebhook = "webhook"
	byMail    = "mail"
)

// defaultLimit is how many notices an hour a recipient gets.
const defaultLimit = 20

func (r *configReader) checkMail(s *settings) {
	m := &s.Mail
	given := *m != mailSettings{}
	m.TLS = orElse(m.TLS, send.StartTLS)
	ports := map[string]int{send.StartTLS: 587, send.TLS: 465, send.Plain: 25}
	if _, known := ports[m.TLS]; !known {
		r.Fault("mail.tls", sayM("config.choice", m.TLS), sayM("county.conf_mail_tls_remedy"))
	}
	if m.TLS == send.Plain && m.Host != "" && !loopback(m.Host) {
		r.Fault("mail.tls", sayM("county.conf_mail_plain", m.Host), sayM("county.conf_mail_plain_remedy"))
	}
	m.port = r.whole("mail.port", m.Port, ports[m.TLS], 1, 65535)
	if given {
		r.Need("mail.host", m.Host, "smtp.example.org")
		r.Need("mail.from", m.From, "dalaba@example.org")
		r.mailAddress("mail.from", m.From)
	}
	if (m.User == "") != (m.PasswordFile == "") {
		r.Fault("mail.user", sayM("county.conf_mail_user"), sayM("county.conf_mail_user_remedy"))
	}
	m.PasswordFile = r.path(m.PasswordFile)
	r.secret("mail.password_file", m.PasswordFile, s.County.DataDir)
}

func (r *configReader) mailAddress(key, text string) {
	if a, err := mail.ParseAddress(text); text != "" && (err != nil || a.Address != text) {
		r.Fault(key, sayM("county.conf_mail_address", text), sayM("county.conf_mail_address_remedy"))
	}
}

func (r *configReader) checkNotify(s *settings) {
	r.checkMail(s)
	for i := range s.Notify {
		n := &s.Notify[i]
		key := fmt.Sprintf("notify[%d].", i+1)
		r.Need(key+"name", n.Name, "值班手机")
		if slices.ContainsFunc(s.Notify[:i], func(o notifySettings) bool { return o.Name == n.Name && n.Name != "" }) {
			r.Fault(key+"name", sayM("county.conf_notify_twice", n.Name), sayM("county.conf_notify_twice_remedy"))
		}
		r.checkWay(key, n, s)
		rule := notice.Rule{Name: n.Name, Zone: s.zone, Limit: r.whole(key+"limit", n.Limit, defaultLimit, 1, 1000)}
		r.language(key+"language", n.Language)
		rule.Language = say.Choose(n.Language, s.County.Language)
		rule.About = r.about(key+"about", n.About)
		for _, text := range n.Areas {
			area, err := playlist.ParseArea(text)
			if err != nil || s.area != "" && !area.Within(s.area) {
				r.Fault(key+"areas", sayM("county.not_ours", text, string(s.area)), sayM("county.conf_notify_areas_remedy"))
			}
			rule.Areas = append(rule.Areas, area)
		}
		rule.Quiet = r.quiet(key+"quiet", n.Quiet)
		if n.AllIsWell != "" {
			at, ok := r.timeOfDay(key+"all_is_well", n.AllIsWell)
			if rule.Daily = &at; ok && at == 24*60 {
				*rule.Daily = 0
			}
		}
		s.notify = append(s.notify, rule)
	}
}

// checkWay checks how the notices of a recipient go out.
func (r *configReader) checkWay(key string, n *notifySettings, s *settings) {
	n.WebhookFile = r.path(n.WebhookFile)
	if (n.WebhookFile == "") == (len(n.Mail) == 0) {
		r.Fault(strings.TrimSuffix(key, "."), sayM("county.conf_notify_way"), sayM("county.conf_notify_way_remedy"))
	}
	way := byWebhook
	if len(n.Mail) > 0 {
		way = byMail
	}
	if n.Kind != "" && n.Kind != way {
		r.Fault(key+"kind", sayM("config.choice", n.Kind), sayM("county.conf_notify_kind_remedy"))
	}
	r.secret(key+"webhook_file", n.WebhookFile, s.County.DataDir)
	for _, a := range n.Mail {
		if a == "" {
			a = " "
		}
		r.mailAddress(key+"mail", a)
	}
	if len(n.Mail) > 0 && s.Mail.Host == "" {
		r.Fault(key+"mail", sayM("county.conf_notify_mail"), sayM("county.conf_notify_mail_remedy"))
	}
}

func (r *configReader) about(key string, texts []string) (all []notice.Kind) {
	if len(texts) == 0 {
		return notice.Kinds()
	}
	for _, text := range texts {
		if !slices.Contains(notice.Kinds(), notice.Kind(text)) {
			r.Fault(key, sayM("config.choice", text), sayM("county.conf_notify_about_remedy"))
		}
		all = append(all, notice.Kind(text))
	}
	return all
}

// quiet reads "22:00-06:00".
func (r *configReader) quiet(key, text string) (q notice.Quiet) {
	if text == "" {
		return q
	}
	from, to, _ := strings.Cut(text, "-")
	begin, err := playlist.ParseTimeOfDay(strings.TrimSpace(from))
	end, eerr := playlist.ParseTimeOfDay(strings.TrimSpace(to))
	if err != nil || eerr != nil || begin == end {
		r.Fault(key, sayM("county.conf_quiet", text), sayM("county.conf_quiet_remedy"))
	}
	return notice.Quiet{From: begin, To: end}
}

func (r *configReader) timeOfDay(key, text string) (t playlist.TimeOfDay, ok bool) {
	t, err := playlist.ParseTimeOfDay(text)
	if err != nil {
		r.Fault(key, sayM("county.conf_time", text), sayM("county.conf_time_remedy"))
	}
	return t, err == nil
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// recipients makes those who are told, with the secrets that the config names.
func recipients(s *settings) (all []county.Notify, err error) {
	server := send.Server{Host: s.Mail.Host, Port: s.Mail.port, From: s.Mail.From, User: s.Mail.User, TLS: s.Mail.TLS}
	if s.Mail.PasswordFile != "" {
		text, err := secret.Read(s.Mail.PasswordFile)
		if err != nil {
			return nil, unreadable("mail.password_file", s.Mail.PasswordFile, err)
		}
		server.Password = strings.TrimRight(string(text), "\r\n")
	}
	for i, n := range s.Notify {
		to := county.Notify{Rule: s.notify[i]}
		if n.WebhookFile == "" {
			server.Language = to.Language
			to.Send = send.Mail{Server: server, To: n.Mail}.Send
			all = append(all, to)
			continue
		}
		key := fmt.Sprintf("notify[%d].webhook_file", i+1)
		text, err := secret.Read(n.WebhookFile)
		if err != nil {
			return nil, unreadable(key, n.WebhookFile, err)
		}
		u, err := url.Parse(strings.TrimSpace(string(text)))
		if err != nil || u.Hostname() == "" || !sealed(u) {
			return nil, unreadable(key, n.WebhookFile, sayM("county.conf_webhook")) // without the address: it may hold a key
		}
		to.Send = send.NewWebhook(u).Send
		all = append(all, to)
	}
	return all, nil
}

// notifyCmd shows what the duty phone was told, and tries whether it can be.
func (a *app) notifyCmd() *cobra.Command {
	c := &cobra.Command{Use: "notify", Short: a.Say("county.notify_short"), Long: a.Say("county.notify_long"), Args: a.NoArgs}
	c.AddCommand(a.notifyListCmd(), a.notifyTestCmd())
	return c
}

func (a *app) notifyListCmd() *cobra.Command {
	var n int
	c := a.JSONFlag(&cobra.Command{
		Use: "list", Short: a.Say("county.notify_list_short"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := a.ask()
			if err != nil {
				return err
			}
			var all []notice.Notice
			if err := k.get(c.Context(), "/api/notices", url.Values{"n": {strconv.Itoa(n)}}, &all); err != nil {
				return err
			}
			if a.JSON {
				return a.show(all)
			}
			if len(all) == 0 {
				a.Println(a.Say("county.notify_none"))
				return nil
			}
			now := time.Now()
			t := a.NewTable(cli.Key(a.Say("county.head_at")), cli.Key(a.Say("county.head_notify")), cli.Extra(a.Say("county.head_kind")),
				cli.Key(a.Say("county.head_state")), cli.Message(a.Say("county.head_what")))
			for _, m := range slices.Backward(all) {
				t.Add(web.Stamp(m.At, now, k.zone), m.To, a.Word("county.notify_kind_", string(m.Kind)), a.noticeState(m), cli.Printable(a.noticeText(m)))
			}
			a.Println(t.Page())
			return nil
		},
	})
	c.Flags().IntVar(&n, "n", 20, a.Say("county.flag_notify_n"))
	return c
}

// noticeState is how far a notice has come.
func (a *app) noticeState(m notice.Notice) cli.Cell {
	tone := map[notice.State]cli.Tone{notice.Told: cli.Good, notice.Failed: cli.Bad, notice.Due: cli.Warn}[m.State]
	return cli.Tint(a.Word("county.notify_", string(m.State)), tone)
}

// noticeText is the first line of a notice, and why it was not delivered.
func (a *app) noticeText(m notice.Notice) string {
	if m.Why == "" || m.State != notice.Failed && m.State != notice.Due {
		return m.Headline()
	}
	return a.Say("county.notify_why", m.Headline(), m.Why)
}

func (a *app) notifyTestCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use: "test " + a.Say("county.use_name"), Short: a.Say("county.notify_test_short"), Args: a.oneArg("name"),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := a.ask()
			if err != nil {
				return err
			}
			var m notice.Notice
			if err := k.post(c.Context(), "/api/notices/test", url.Values{"name": {args[0]}}, nil, &m); err != nil {
				return err
			}
			if a.JSON {
				err = a.show(m)
			} else if m.State == notice.Told {
				a.Println(a.Say("county.notify_tested", m.To, m.Text))
			}
			if m.State != notice.Told {
				err = cmp.Or[error](err, sayM("county.notify_untested", m.To, m.Why))
			}
			return err
		},
	})
}
