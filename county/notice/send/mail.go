package send

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/wneessen/go-mail"

	"dalaba/playlist/say"
)

// The ways by which a mail server is spoken to.
const (
	StartTLS = "starttls"
	TLS      = "tls"
	Plain    = "none"
)

// Server is a mail server and how it is used.
type Server struct {
	Host     string
	Port     int
	From     string
	User     string // empty: without a login
	Password string
	TLS      string // StartTLS, TLS or Plain
	Language say.Lang
}

// Mail sends notices as mail.
type Mail struct {
	Server
	To []string

	dial mail.DialContextFunc // nil: over the network; tests set it
}

// mostSubject is how many characters of the first line are the subject.
const mostSubject = 78

// Send sends a notice to all who are to have it. The server may take as long as [Within] for
// the login, and again for the mail.
func (m Mail) Send(ctx context.Context, n Message) error {
	msg := mail.NewMsg()
	if err := errors.Join(msg.From(m.From), msg.To(m.To...)); err != nil {
		return err
	}
	subject := []rune(say.M("notice.subject", n.County, strings.TrimSpace(n.Headline())).In(m.Language))
	if len(subject) > mostSubject {
		subject = append(subject[:mostSubject-1], '…')
	}
	msg.Subject(string(subject))
	msg.SetDateWithValue(n.At)
	msg.SetMessageID()
	msg.SetBodyString(mail.TypeTextPlain, bounded(n.Text)+"\n")
	options := []mail.Option{mail.WithPort(m.Port), mail.WithTimeout(Within)}
	switch m.TLS {
	case TLS:
		options = append(options, mail.WithSSL())
	case Plain:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if m.User != "" {
		auth := mail.SMTPAuthAutoDiscover
		if m.TLS == Plain {
			auth = mail.SMTPAuthPlainNoEnc // only on this machine: the config sees to it
		}
		options = append(options, mail.WithSMTPAuth(auth), mail.WithUsername(m.User), mail.WithPassword(m.Password))
	}
	if m.dial != nil {
		options = append(options, mail.WithDialContextFunc(m.dial))
	}
	client, err := mail.NewClient(m.Host, options...)
	if err != nil {
		return err
	}
	err = client.DialAndSendWithContext(ctx, msg)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return say.M("notice.timed_out", int(Within.Seconds()))
	}
	return err
}
