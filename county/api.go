package county

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"dalaba/alert"
	"dalaba/county/store"
	"dalaba/ingest"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// API is a county's HTTP interface for operators: JSON in and out, an error as
// {"error": "..."} in the language that Accept-Language asks for.
type API struct {
	C *County

	// Token opens everything; empty: nothing does, but a login. A request that
	// comes by a door that only the operator can open needs neither: Open.
	Token string
	Open  bool

	Version string // of this program

	logins chan struct{} // as many passwords are hashed at once
	once   sync.Once
}

// loginsAtOnce bounds the memory that strangers can have us spend: each costs
// 64 MiB for a moment.
const loginsAtOnce = 2

// maxUpload bounds a file that is to become a clip.
const maxUpload = 4 << 30

const (
	sessionLife = 12 * time.Hour
	maxBody     = 16 << 20
)

// Handler is the API under /api/.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := a.admit(r); err != nil {
				a.C.Answer(w, r, nil, err)
				return
			}
			v, err := f(r)
			a.C.Answer(w, r, v, err)
		})
	}
	mux.HandleFunc("POST /api/login", a.login)
	handle("POST /api/logout", func(r *http.Request) (any, error) {
		return struct{}{}, a.C.Store.Logout(r.Context(), bearer(r))
	})
	handle("POST /api/admin", a.setAdmin)
	handle("GET /api/status", a.status)

	handle("GET /api/fleet", a.fleet)
	handle("GET /api/codes", func(r *http.Request) (any, error) { return list(a.C.Store.Codes(r.Context())) })
	handle("POST /api/codes", func(r *http.Request) (any, error) {
		n, err := body[NewCode](r)
		if err != nil {
			return nil, err
		}
		return a.C.AddCode(r.Context(), n)
	})
	for verb, f := range map[string]func(context.Context, playlist.ControllerID) error{
		"approve": a.C.Approve, "retire": a.C.Retire, "revoke": a.C.Revoke,
	} {
		handle("POST /api/controllers/{id}/"+verb, func(r *http.Request) (any, error) {
			id := playlist.ControllerID(r.PathValue("id"))
			if err := f(r.Context(), id); err != nil {
				return nil, err
			}
			return a.C.find(r.Context(), id)
		})
	}
	handle("POST /api/controllers/{id}/move", func(r *http.Request) (any, error) {
		m, err := body[Moved](r)
		if err != nil {
			return nil, err
		}
		id := playlist.ControllerID(r.PathValue("id"))
		if err := a.C.Move(r.Context(), id, m.Name, m.Area, m.Groups); err != nil {
			return nil, err
		}
		return a.C.find(r.Context(), id)
	})
	handle("GET /api/controllers/{id}/log", func(r *http.Request) (any, error) {
		n, err := number(r, "n", 100)
		if err != nil {
			return nil, err
		}
		return a.C.ControllerLog(r.Context(), playlist.ControllerID(r.PathValue("id")), n)
	})

	handle("GET /api/clips", func(r *http.Request) (any, error) {
		return list(a.C.Store.Clips(r.Context(), r.URL.Query().Get("series")))
	})
	handle("GET /api/clips/{id}", func(r *http.Request) (any, error) {
		clip, _, err := a.C.Store.Clip(r.Context(), playlist.ClipID(r.PathValue("id")))
		return clip, err
	})
	handle("POST /api/clips", a.addClip)

	handle("POST /api/propose", func(r *http.Request) (any, error) {
		d, err := body[Draft](r)
		if err != nil {
			return nil, err
		}
		return a.C.Propose(r.Context(), d)
	})
	handle("POST /api/push", a.push)
	handle("POST /api/publish", a.publish)
	handle("POST /api/unsigned", func(r *http.Request) (any, error) {
		m, err := body[playlist.Manifest](r)
		if err != nil {
			return nil, err
		}
		raw, err := a.C.Unsigned(m)
		return json.RawMessage(raw), err
	})
	handle("GET /api/manifests", func(r *http.Request) (any, error) {
		return list(a.C.Store.Versions(r.Context(), link.KindManifest, playlist.Scope(r.URL.Query().Get("scope"))))
	})
	handle("GET /api/earlier", func(r *http.Request) (any, error) {
		v, err := number(r, "version", 0)
		if err != nil {
			return nil, err
		}
		return a.C.ProposeEarlier(r.Context(), playlist.Scope(r.URL.Query().Get("scope")), int64(v))
	})
	handle("POST /api/rollback", func(r *http.Request) (any, error) {
		v, err := number(r, "version", 0)
		if err != nil {
			return nil, err
		}
		return a.C.Rollback(r.Context(), playlist.Scope(r.URL.Query().Get("scope")), int64(v))
	})
	handle("GET /api/delivery", func(r *http.Request) (any, error) {
		v, err := number(r, "version", 0)
		if err != nil {
			return nil, err
		}
		return a.C.Delivery(r.Context(), playlist.Scope(r.URL.Query().Get("scope")), int64(v))
	})
	handle("GET /api/documents", a.documents)
	handle("POST /api/trust", func(r *http.Request) (any, error) {
		raw, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
		if err != nil {
			return nil, err
		}
		return struct{}{}, a.C.AddTrust(r.Context(), raw)
	})

	handle("GET /api/reach", a.reach)

	handle("GET /api/alerts", func(r *http.Request) (any, error) {
		n, err := number(r, "n", 50)
		if err != nil {
			return nil, err
		}
		return list(a.C.Store.Alerts(r.Context(), n))
	})
	handle("POST /api/alerts", func(r *http.Request) (any, error) {
		h, err := body[ByHand](r)
		if err != nil {
			return nil, err
		}
		return a.C.TakeByHand(r.Context(), h, r.URL.Query().Get("dry") != "")
	})
	handle("POST /api/alerts/message", a.message)
	handle("GET /api/account", func(r *http.Request) (any, error) {
		return a.C.AlertAccount(r.Context(), playlist.AlertID(r.URL.Query().Get("id")))
	})
	handle("POST /api/cancel", func(r *http.Request) (any, error) {
		return a.C.CancelByHand(r.Context(), playlist.AlertID(r.URL.Query().Get("id")))
	})
	handle("GET /api/ebd", func(r *http.Request) (any, error) {
		n, err := number(r, "n", 50)
		if err != nil {
			return nil, err
		}
		return list(a.C.Store.EBDs(r.Context(), n))
	})
	return mux
}

func list[T any](all []T, err error) ([]T, error) {
	if all == nil {
		all = []T{}
	}
	return all, err
}

// Moved is what changes of a controller; what is null stays.
type Moved struct {
	Name   *string        `json:"name"`
	Area   *playlist.Area `json:"area"`
	Groups *[]string      `json:"groups"`
}

func bearer(r *http.Request) string {
	t, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return t
}

// admit lets through who may.
func (a *API) admit(r *http.Request) error {
	if a.Open {
		return nil
	}
	token := bearer(r)
	if token == "" {
		return store.ErrDenied
	}
	if a.Token != "" {
		x, y := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(a.Token))
		if subtle.ConstantTimeCompare(x[:], y[:]) == 1 {
			return nil
		}
	}
	_, err := a.C.Store.Session(r.Context(), token)
	return err
}

// Login is a name and a password.
type Login struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

func (a *API) login(w http.ResponseWriter, r *http.Request) {
	a.once.Do(func() { a.logins = make(chan struct{}, loginsAtOnce) })
	select {
	case a.logins <- struct{}{}:
		defer func() { <-a.logins }()
	case <-r.Context().Done():
		return
	}
	l, err := body[Login](r)
	var out struct {
		Token   string    `json:"token"`
		Expires time.Time `json:"expires"`
	}
	if err == nil {
		out.Expires = a.C.now().Add(sessionLife)
		out.Token, err = a.C.Store.Login(r.Context(), l.Name, l.Password, out.Expires)
	}
	if errors.Is(err, store.ErrDenied) {
		a.C.Log.Warn("login refused", "from", r.RemoteAddr, "name", l.Name)
	}
	a.C.Answer(w, r, out, err)
}

func (a *API) setAdmin(r *http.Request) (any, error) {
	l, err := body[Login](r)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(l.Name) == "" || len([]rune(l.Password)) < 10 {
		return nil, invalid("county.password_short")
	}
	return struct{}{}, a.C.Store.SetAdmin(r.Context(), l.Name, l.Password)
}

// CountyStatus is how a county does.
type CountyStatus struct {
	Name      string        `json:"name"`
	Area      playlist.Area `json:"area"`
	Version   string        `json:"version"`
	Signs     bool          `json:"signs"` // the playlist key lies here
	Fleet     int           `json:"fleet"` // active
	Online    int           `json:"online"`
	Pending   int           `json:"pending"`
	Residents int           `json:"residents"`
	Alerts    int           `json:"alerts"` // in force
	Store     string        `json:"store"`  // "ok", or what is wrong
	URL       string        `json:"url"`    // as controllers reach us
	Servers   []string      `json:"servers"`
	Zone      string        `json:"zone"`
	Trust     int64         `json:"trust"` // version
	Print     string        `json:"fingerprint"`
	Keys      []TrustedKey  `json:"keys"`

	LastBackup time.Time    `json:"last_backup,omitzero"` // of an SQLite database
	Backups    int          `json:"backups"`
	Losses     []store.Loss `json:"losses,omitempty"` // each time a backup had to take its place
	Database   string       `json:"database"`         // sqlite or postgres
}

// TrustedKey is a key of the trust document, to be compared by people.
type TrustedKey struct {
	Role        link.Role `json:"role"`
	Fingerprint string    `json:"fingerprint"`
}

func (a *API) status(r *http.Request) (any, error) {
	ctx, c := r.Context(), a.C
	s := CountyStatus{Name: c.Name, Area: c.Area, Version: a.Version, Signs: c.Keys.Playlist != nil, Store: "ok",
		Servers: c.Servers, Zone: c.Zone.String()}
	if len(c.ClipURLs) > 0 {
		s.URL = c.ClipURLs[0]
	}
	if err := c.Store.Ping(ctx); err != nil {
		s.Store = err.Error()
	}
	s.Database = c.Store.Kind()
	var err error
	if s.LastBackup, s.Backups, err = c.Store.LastBackup(); err != nil {
		return nil, err
	}
	if s.Losses, err = c.Store.Losses(ctx); err != nil {
		return nil, err
	}
	fleet, err := c.Store.Fleet(ctx, store.FleetQuery{})
	if err != nil {
		return nil, err
	}
	for _, k := range fleet {
		switch k.State {
		case store.Pending:
			s.Pending++
		case store.Active:
			s.Fleet++
			s.Residents += k.Residents()
			if c.Online(k) {
				s.Online++
			}
		}
	}
	inForce, err := c.Store.AlertsInForce(ctx)
	if err != nil {
		return nil, err
	}
	s.Alerts = len(inForce)
	t, err := c.trust(ctx)
	if err != nil {
		return nil, err
	}
	s.Trust, s.Print = t.Version, t.Fingerprint()
	for _, role := range []link.Role{link.RoleRoot, link.RolePlaylist, link.RoleAlert, link.RoleFleet, link.RoleEdge} {
		for _, id := range t.Roles[role].Keys {
			s.Keys = append(s.Keys, TrustedKey{role, t.Keys[id].Fingerprint()})
		}
	}
	return s, nil
}

func (a *API) fleet(r *http.Request) (any, error) {
	q := r.URL.Query()
	return a.C.FleetStatus(r.Context(), store.FleetQuery{
		Area: playlist.Area(q.Get("area")), Group: q.Get("group"), State: store.State(q.Get("state")),
	}, q.Get("silent") != "", q.Get("faulty") != "")
}

// AddedClip is what became of a file that was handed in.
type AddedClip struct {
	Clip    playlist.Clip  `json:"clip"`
	Known   bool           `json:"known"`
	Changed bool           `json:"changed"`
	Figures ingest.Figures `json:"figures"`
}

// addClip makes a clip of the body, which is the file that name names.
func (a *API) addClip(r *http.Request) (any, error) {
	if a.C.Ingest == nil {
		return nil, invalid("county.no_ingest")
	}
	q := r.URL.Query()
	name := filepath.Base(filepath.Clean("/" + q.Get("name")))
	meta := ingest.Meta{Title: q.Get("title"), Series: q.Get("series"), Language: q.Get("language"), Tags: q["tag"], Text: q.Get("text")}
	var err error
	if meta.Issue, err = number(r, "issue", 0); err != nil {
		return nil, err
	}
	if n := meta.Issue; q.Get("issue") != "" && (n < 1 || n > ingest.MaxIssue) {
		return nil, invalid("ingest.issue", n, ingest.MaxIssue)
	}
	dir, err := os.MkdirTemp(a.C.Ingest.TempDir, "upload")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, invalid("county.bad_name", plain(q.Get("name")))
	}
	_, err = io.Copy(f, http.MaxBytesReader(nil, r.Body, maxUpload))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	out, err := a.C.Ingest.Take(r.Context(), ingest.Item{Path: path, Meta: meta}, a.C.Store, nil)
	return AddedClip{Clip: out.Clip, Known: out.Known, Changed: out.Changed, Figures: out.Figures}, err
}

func (a *API) push(r *http.Request) (any, error) {
	d, err := body[Draft](r)
	if err != nil {
		return nil, err
	}
	return a.C.Issue(r.Context(), d)
}

// publish takes an envelope that was signed elsewhere.
func (a *API) publish(r *http.Request) (any, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return nil, err
	}
	return a.C.IssueSigned(r.Context(), raw)
}

// Held is a document in force, with its bytes.
type Held struct {
	link.Have
	Raw json.RawMessage `json:"raw"`
}

// documents are all documents in force, for a carrier.
func (a *API) documents(r *http.Request) (any, error) {
	latest, err := a.C.Store.Latest(r.Context(), "")
	all := []Held{}
	for _, e := range latest {
		all = append(all, Held{link.Have{Kind: e.Kind, Scope: e.Scope, Version: e.Version, Digest: e.Digest}, e.Bytes})
	}
	return all, err
}

func (a *API) reach(r *http.Request) (any, error) {
	q := r.URL.Query()
	by, err := store.ParseGrouping(cmp.Or(q.Get("by"), string(store.BySeries)))
	if err != nil {
		return nil, invalid("county.bad_grouping", q.Get("by"))
	}
	if area := q.Get("area"); area != "" {
		if _, err := playlist.ParseArea(area); err != nil {
			return nil, invalid("county.bad_area", area)
		}
	}
	return a.C.Reach(r.Context(), store.ReachQuery{
		By: by, From: playlist.Date(q.Get("from")), To: playlist.Date(q.Get("to")), Area: playlist.Area(q.Get("area")),
	})
}

// message takes a CAP or EBD message that an operator has as a file.
func (a *API) message(r *http.Request) (any, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, alert.MaxTar))
	if err != nil {
		return nil, err
	}
	opts := a.C.Alerts.Trust
	opts.Now = a.C.now()
	m, err := alert.Parse(raw, opts)
	if err != nil {
		return nil, err
	}
	if m.Kind != alert.KindAlert && m.Kind != alert.KindEBM {
		return nil, invalid("county.not_an_alert", string(m.Kind))
	}
	in := Incoming{Alert: m.Alert, Raw: raw, Source: FromHand, Silent: m.Silent.Key != ""}
	if r.URL.Query().Get("dry") != "" {
		return a.C.Weigh(r.Context(), in)
	}
	return a.C.Take(r.Context(), in)
}

// body reads JSON that has nothing but what T knows.
func body[T any](r *http.Request) (v T, err error) {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, invalid("county.bad_body", err)
	}
	return v, nil
}

func number(r *http.Request, key string, preset int) (int, error) {
	text := r.URL.Query().Get(key)
	if text == "" {
		return preset, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 1<<30 {
		return 0, invalid("county.bad_number", key, plain(text))
	}
	return n, nil
}

// ZoneHeader is the field of every answer that names the county's zone, for
// those who show instants to people; the instants themselves are in UTC.
const ZoneHeader = "Dalaba-Zone"

// Answer writes what was found, or why not.
func (c *County) Answer(w http.ResponseWriter, r *http.Request, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set(ZoneHeader, c.Zone.String())
	if err != nil {
		lang := say.Choose(r.Header.Get("Accept-Language"))
		status := http.StatusInternalServerError
		text := say.In(lang, err)
		switch {
		case errors.Is(err, store.ErrDenied):
			status, text = http.StatusUnauthorized, say.M("county.denied").In(lang)
		case errors.Is(err, store.ErrNotFound), errors.Is(err, fs.ErrNotExist):
			status = http.StatusNotFound
		case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrStale), errors.Is(err, ErrNoKey):
			status = http.StatusConflict
		case errors.Is(err, playlist.ErrInvalid), errors.Is(err, ingest.ErrRefused), refusedByLink(err):
			status = http.StatusUnprocessableEntity
		default:
			c.Log.Error("request failed", "path", r.URL.Path, "err", err)
		}
		w.WriteHeader(status)
		v = map[string]string{"error": text}
	}
	_ = json.NewEncoder(w).Encode(v) // whoever went away asks again
}

func refusedByLink(err error) bool {
	for _, e := range []error{
		link.ErrOversized, link.ErrTruncated, link.ErrMalformed, link.ErrSignature, link.ErrWrongRole, link.ErrWrongType, link.ErrRolledBack, link.ErrForked,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Public are the doors that stand open to the network: clips and enrolment for
// controllers, messages of the emergency system, the API for who has a token.
func (a *API) Public() http.Handler {
	c := a.C
	mux := http.NewServeMux()
	edge := Edge{c}
	mux.Handle("/clips/", link.ClipHandler(func(id playlist.ClipID) (io.ReadSeekCloser, int64, error) {
		f, err := c.Store.OpenClip(id)
		if errors.Is(err, store.ErrNotFound) {
			err = fs.ErrNotExist
		}
		if err != nil {
			return nil, 0, err
		}
		fi, err := f.Stat()
		if err != nil {
			return nil, 0, errors.Join(err, f.Close())
		}
		return f, fi.Size(), nil
	}, link.ClipGate(edge.Registered)))
	for path, h := range map[string]http.Handler{
		"/enrol": &link.EnrolHandler{Store: edge, Log: c.Log, Now: c.Now}, "/ebd": c.EBDHandler(), "/cap": c.CAPHandler(),
	} {
		mux.Handle(path, bounded(h))
	}
	mux.Handle("/api/", a.Handler())
	mux.HandleFunc("GET /ca.pem", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = io.WriteString(w, c.CA)
	})
	return mux
}

// readWithin is how long a stranger may take to say what he wants.
const readWithin = 2 * time.Minute

func bounded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readWithin)) // where the connection can
		h.ServeHTTP(w, r)
	})
}
