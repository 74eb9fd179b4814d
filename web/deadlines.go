package web

import (
	"io"
	"net/http"
	"time"
)

// Deadlines bound how long a client may take.
type Deadlines struct {
	Read   time.Duration // to send a request, from when its head was read
	Answer time.Duration // to be answered and read the answer, from then on

	// Pace is after how many bytes of a request's body it may take Read once more; 0:
	// all of it has to come within Read.
	Pace int64
}

// Bound bounds the times of the requests that h serves.
func (d Deadlines) Bound(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.SetWriteDeadline(time.Now().Add(d.Answer)) // not every connection can
		if r.Body == nil || r.Body == http.NoBody {
			_ = rc.SetReadDeadline(time.Time{})
		} else {
			_ = rc.SetReadDeadline(time.Now().Add(d.Read))
			r.Body = &timed{r.Body, rc, d, 0}
		}
		h.ServeHTTP(w, r)
	})
}

// timed is a body that has to come in time. Once it has come, the deadline goes: it
// would end the request's context.
type timed struct {
	io.ReadCloser
	rc     *http.ResponseController
	limits Deadlines
	since  int64 // bytes since the deadline was set
}

func (b *timed) Read(p []byte) (n int, err error) {
	n, err = b.ReadCloser.Read(p)
	b.since += int64(n)
	switch {
	case err == io.EOF:
		_ = b.rc.SetReadDeadline(time.Time{})
	case err == nil && b.limits.Pace > 0 && b.since >= b.limits.Pace:
		b.since = 0
		_ = b.rc.SetReadDeadline(time.Now().Add(b.limits.Read))
	}
	return n, err
}
