package send

import (
	"context"
	"net"
	"net/http"

	"github.com/wneessen/go-mail"
)

// Dial opens connections.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Over has a webhook open its connections by dial.
func Over(w *Webhook, dial Dial) *Webhook {
	w.client.Transport.(*http.Transport).DialContext = dial
	return w
}

// MailOver has mail open its connections by dial.
func MailOver(m Mail, dial Dial) Mail {
	m.dial = mail.DialContextFunc(dial)
	return m
}
