package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"dalaba/alert"
	"dalaba/controller/hand"
	"dalaba/playlist"
	"dalaba/playlist/say"
	"dalaba/web"
)

const (
	maxSounds  = 8                // streams at once; other requests have no part in this
	maxRequest = 8 << 10          // bytes of a request, but for an alert's
	maxEvents  = 1000             // of the log, in one answer
	headerTime = 5 * time.Second  // a request must have come by then
	bodyTime   = 30 * time.Second // and its body by then
	lastWords  = 3 * time.Second  // for streams to end, when the daemon stops
)

// Server serves the API on the control socket.
type Server struct {
	Daemon Daemon
	Dir    string // the data folder
	Config string // the config file
	Log    *slog.Logger

	mu     sync.Mutex
	sounds map[string]context.CancelFunc
	last   int // number of the last sound

	stopping context.Context // ends when the daemon is told to stop
}

// Run serves until ctx ends. The sound does not depend on it: if it cannot listen,
// it says so in the log and returns.
func (s *Server) Run(ctx context.Context) error {
	who := accessTo(s.Dir)
	ln, err := listen(s.Dir, who)
	if err != nil {
		s.Log.Warn("control socket does not open", "path", s.Dir, "err", err)
		return nil
	}
	s.stopping = ctx
	server := &http.Server{
		Handler: s.guard(who, s.routes()), ReadHeaderTimeout: headerTime, ReadTimeout: bodyTime, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		ErrorLog:    slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	select {
	case <-ctx.Done():
	case err = <-ended:
		s.Log.Warn("control socket does not accept", "err", err)
		return nil
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	if err := server.Shutdown(closing); err != nil { // it has closed the listener
		_ = server.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		s.Log.Warn("control socket does not accept", "err", err)
	}
	return nil
}

type connKey struct{}

// guard lets pass those who may, to the daemon that they mean. Their requests end
// when the daemon stops.
func (s *Server) guard(who access, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(net.Conn); !ok || !who.allows(c) {
			web.Fail(w, r, web.Status(http.StatusForbidden, say.M("control.denied")))
			return
		}
		if dir := r.Header.Get(DirHeader); dir != "" && !sameFile(dir, s.Dir) {
			web.Fail(w, r, web.Status(http.StatusMisdirectedRequest, say.M("control.other_daemon", s.Dir)))
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(s.stopping, cancel)()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /v1/status", web.Handler(s.status))
	mux.Handle("GET /v1/state", web.Handler(func(r *http.Request) (any, error) { return s.Daemon.State(r.Context()), nil }))
	mux.Handle("POST /v1/reload", web.Handler(s.reload))
	mux.Handle("POST /v1/tone", sound(s, s.tone))
	mux.Handle("POST /v1/play", sound(s, s.play))
	mux.Handle("POST /v1/mic", sound(s, s.mic))
	mux.Handle("POST /v1/stop", web.Handler(s.stop))
	mux.Handle("POST /v1/alerts", web.Handler(s.takeAlert))
	mux.Handle("GET /v1/alerts", web.Handler(func(r *http.Request) (any, error) { return s.Daemon.Alerts(r.Context()) }))
	mux.Handle("GET /v1/clips", web.Handler(func(r *http.Request) (any, error) { return s.Daemon.Clips(r.Context()) }))
	mux.Handle("POST /v1/alerts/cancel", web.Handler(s.cancelAlert))
	mux.HandleFunc("POST /v1/import", s.carry)
	mux.Handle("GET /v1/log", web.Handler(s.events))
	return mux
}

// read decodes a request's body.
func read[T any](r *http.Request) (v T, err error) {
	d := json.NewDecoder(io.LimitReader(r.Body, maxRequest))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, badOrder
	}
	return v, nil
}

var badOrder = web.Status(http.StatusBadRequest, say.M("technician.bad_order"))

func (s *Server) status(r *http.Request) (any, error) {
	st, err := s.Daemon.Status(r.Context(), web.Lang(r))
	if err != nil {
		return nil, err
	}
	st.Config.File, st.DataDir = absolute(st.Config.File), absolute(st.DataDir) // who asks may be in another folder
	return st, nil
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); path != "" && err == nil {
		return abs
	}
	return path
}

func (s *Server) reload(r *http.Request) (any, error) {
	in, err := read[Reload](r)
	if err != nil {
		return nil, err
	}
	if in.Config != "" && !sameFile(in.Config, s.Config) {
		return nil, web.Status(http.StatusConflict, say.M("control.other_config", absolute(s.Config), in.Config))
	}
	return s.Daemon.Reload(r.Context(), in.Automatic, web.Lang(r))
}

func (s *Server) takeAlert(r *http.Request) (any, error) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, alert.MaxTar+1))
	if err != nil {
		return nil, web.Status(http.StatusBadRequest, err)
	}
	if len(raw) > alert.MaxTar {
		return nil, web.Status(http.StatusRequestEntityTooLarge, say.M("alerts.too_large", alert.MaxTar>>20))
	}
	query := r.URL.Query()
	if query.Get("made") == "" {
		return s.Daemon.TakeAlert(r.Context(), raw)
	}
	var retires []playlist.AlertID
	for _, id := range query["retires"] {
		retires = append(retires, playlist.AlertID(id))
	}
	return s.Daemon.TakeMade(r.Context(), raw, retires)
}

func (s *Server) cancelAlert(r *http.Request) (any, error) {
	in, err := read[Cancel](r)
	if err != nil {
		return nil, err
	}
	if in.ID == "" {
		return nil, badOrder
	}
	return s.Daemon.CancelAlert(r.Context(), in.ID)
}

func (s *Server) events(r *http.Request) (any, error) {
	number := func(key string) int64 {
		n, _ := strconv.ParseInt(r.URL.Query().Get(key), 10, 64) // 0 if it is none
		return n
	}
	return s.Daemon.Events(r.Context(), number("after"), int(min(max(number("limit"), 1), maxEvents)))
}

// sounder sounds something until it is over or ctx ends.
type sounder func(ctx context.Context, report func(hand.Report)) (hand.Report, error)

func (s *Server) tone(r *http.Request) (sounder, error) {
	o, err := read[hand.Order](r)
	if err != nil {
		return nil, err
	}
	if !o.IsTone() {
		return nil, badOrder
	}
	return s.sounder(r, o)
}

func (s *Server) play(r *http.Request) (sounder, error) {
	o, err := read[hand.Order](r)
	if err != nil {
		return nil, err
	}
	if o.IsTone() || o.File != "" && !filepath.IsAbs(o.File) {
		return nil, badOrder
	}
	return s.sounder(r, o)
}

func (s *Server) sounder(r *http.Request, o hand.Order) (sounder, error) {
	if c, ok := r.Context().Value(connKey{}).(net.Conn); ok {
		o.User = userOf(c)
	}
	if err := o.Check(); err != nil {
		return nil, web.Status(http.StatusBadRequest, err)
	}
	return func(ctx context.Context, report func(hand.Report)) (hand.Report, error) {
		return s.Daemon.Play(ctx, o, report)
	}, nil
}

func (s *Server) mic(*http.Request) (sounder, error) { return s.Daemon.SpeakLive, nil }

// sound responds with a stream until the sound is over. The sound ends when the
// client says stop, or is gone.
func sound(s *Server, order func(*http.Request) (sounder, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		play, err := order(r)
		if err != nil {
			web.Fail(w, r, err)
			return
		}
		ctx, id, end := s.begin(r)
		if id == "" {
			web.Fail(w, r, web.Status(http.StatusServiceUnavailable, say.M("control.busy")))
			return
		}
		defer end()
		stream := web.NewStream(w)
		defer stream.Close()
		_ = stream.Send(Sound{ID: id})
		report, err := play(ctx, func(r hand.Report) { _ = stream.Send(Sound{Report: r}) })
		last := Sound{Report: report, Over: true}
		switch {
		case s.stopping.Err() != nil && !report.Complete:
			err = say.M("technician.ended")
		case errors.Is(err, context.Canceled):
			last.Stopped, err = true, nil
		}
		if err != nil {
			last.Error = say.In(web.Lang(r), err)
		}
		_ = stream.Send(last)
	})
}

// begin gives a sound its number and a context that ends with the request, or when
// it is stopped by its number. The number is empty if too many
// sound.
func (s *Server) begin(r *http.Request) (ctx context.Context, id string, end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sounds) >= maxSounds {
		return nil, "", nil
	}
	ctx, cancel := context.WithCancel(r.Context())
	s.last++
	id = strconv.Itoa(s.last)
	if s.sounds == nil {
		s.sounds = map[string]context.CancelFunc{}
	}
	s.sounds[id] = cancel
	return ctx, id, func() {
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.sounds, id)
	}
}

func (s *Server) stop(r *http.Request) (any, error) {
	in, err := read[Stop](r)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel, ok := s.sounds[in.ID]; ok { // one that is over needs no stop
		cancel()
	}
	return struct{}{}, nil
}

// carry responds with a stream, because a stick may take hours.
func (s *Server) carry(w http.ResponseWriter, r *http.Request) {
	in, err := read[Stick](r)
	if err == nil && !filepath.IsAbs(in.Dir) {
		err = badOrder
	}
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	stream := web.NewStream(w)
	defer stream.Close()
	got, err := s.Daemon.Carry(r.Context(), in.Dir, web.Lang(r))
	last := carriedLine{Carried: &got}
	if err != nil {
		last.Error = say.In(web.Lang(r), err)
	}
	_ = stream.Send(last)
}
