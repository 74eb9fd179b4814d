package county

import (
	"io"
	"net/http"
	"time"

	"dalaba/alert"
	"dalaba/link"
)

// Public serves what is open to the network: clips and enrolment for
// controllers, messages of the emergency system, and the API for clients that
// have a token or log in.
func (c *County) Public() http.Handler {
	a := c.api
	mux := http.NewServeMux()
	mux.Handle("/clips/", link.ClipHandler(c.clipLibrary.open, link.ClipGate(c.edge.Registered)))
	for path, h := range map[string]http.Handler{
		"/enrol": &link.EnrolHandler{Store: c.enrolment, Log: c.log, Now: c.now}, "/ebd": c.ebd, "/cap": http.HandlerFunc(a.serveCAP),
	} {
		mux.Handle(path, bounded(h))
	}
	mux.Handle("/api/", a.networkAPI())
	mux.HandleFunc("GET /ca.pem", a.serveCA)
	return mux
}

// Operator serves the API without a token. It is for a socket that only the
// operator of this machine can open.
func (c *County) Operator() http.Handler { return c.api.operatorAPI() }

// serveCAP takes CAP messages by POST and writes a [Verdict].
func (a *api) serveCAP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		onlyPost(w)
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, alert.MaxXML))
	if err != nil {
		http.Error(w, "no message", http.StatusBadRequest)
		return
	}
	v, err := a.alerts.takeCAP(r.Context(), raw, FromCAP)
	a.write(w, r, v, err)
}

func (a *api) serveCA(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/x-pem-file")
	_, _ = io.WriteString(w, a.ca)
}

// readWithin is how long a stranger may take to send a request.
const readWithin = 2 * time.Minute

// bounded bounds the time that a request may take to come in.
func bounded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readWithin)) // not every connection can
		h.ServeHTTP(w, r)
	})
}
