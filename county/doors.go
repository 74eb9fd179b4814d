package county

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"dalaba/alert"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/web"
)

// Public serves what is open to the network: clips and enrolment for
// controllers, messages of the emergency system, and the API for clients that
// have a token or log in.
func (c *County) Public() http.Handler {
	a := c.api
	gate := link.ClipGate(c.edge.Registered)
	clips := link.ClipHandler(c.clipLibrary.open, func(r *http.Request, id playlist.ClipID) error {
		err := gate(r, id)
		if err == nil {
			web.Known(r)
		}
		return err
	})
	enrol := &link.EnrolHandler{Store: c.enrolment, Log: c.log, Now: c.now}
	mux := http.NewServeMux()
	mux.Handle("/clips/", clipTimes.Bound(clips))
	mux.Handle("/enrol", times.Bound(enrol))
	mux.Handle("/ebd", times.Bound(c.ebd))
	mux.Handle("/cap", times.Bound(http.HandlerFunc(a.serveCAP)))
	mux.Handle("/api/", apiTimes.Bound(a.networkAPI()))
	mux.Handle("GET /ca.pem", times.Bound(http.HandlerFunc(a.serveCA)))
	return mux
}

// How long clients may take. A clip of half an hour takes 15 min on a line of
// 128 kbit/s, and a controller that is cut off goes on where it was. What an operator
// hands in may be gigabytes and take long to become a clip, but has to come at
// 8 KiB/s at least.
var (
	times     = web.Deadlines{Read: 30 * time.Second, Answer: 3 * time.Minute}
	clipTimes = web.Deadlines{Read: 30 * time.Second, Answer: time.Hour}
	apiTimes  = web.Deadlines{Read: 30 * time.Second, Answer: 24 * time.Hour, Pace: 256 << 10}
)

// Operator serves the API without a token. It is for a socket that only the
// operator of this machine can open.
func (c *County) Operator() http.Handler { return apiTimes.Bound(c.api.operatorAPI()) }

// capAnswer is what the sender of a CAP message is told: nothing of what the county
// has, but what became of the message.
type capAnswer struct {
	ID        playlist.AlertID `json:"id"`
	State     emergency.State  `json:"state"`
	Why       string           `json:"why,omitempty"`
	Duplicate bool             `json:"duplicate,omitempty"`
}

// serveCAP takes CAP messages by POST. Who is not believed, or sends no message,
// gets no answer but the status.
func (a *api) serveCAP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	raw, done, err := a.senders.read(w, r, alert.MaxXML)
	if err != nil {
		refuseBody(w, err)
		return
	}
	defer done()
	v, err := a.alerts.takeCAP(r.Context(), raw, FromCAP)
	switch {
	case errors.Is(err, playlist.ErrInvalid):
		a.senders.refuse(r, err)
		w.WriteHeader(http.StatusBadRequest)
	case err != nil:
		a.log.Error("request failed", "path", r.URL.Path, "err", err)
		w.WriteHeader(http.StatusServiceUnavailable)
	case v.doubt != emergency.ReasonNone:
		a.senders.refuse(r, doubted(v.doubt))
		w.WriteHeader(http.StatusForbidden)
	default:
		a.senders.believe(r, v)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(capAnswer{v.ID, v.State, v.Why, v.Duplicate}) // a sender that has gone sends again
	}
}

// refuseBody responds to a request whose body was not read.
func refuseBody(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, web.ErrTooLarge):
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case errors.Is(err, web.ErrBusy):
		w.Header().Set("Retry-After", "10")
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
}

func (a *api) serveCA(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/x-pem-file")
	_, _ = io.WriteString(w, a.ca)
}

// maxUnproven is the largest body of a request to the API that asks for no token,
// in bytes.
const maxUnproven = 4 << 10
