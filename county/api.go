package county

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"time"

	"dalaba/alert"
	"dalaba/county/store"
	"dalaba/ingest"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
	"dalaba/web"
)

// api is the HTTP interface for operators: JSON in and out, an error as
// {"error": "..."} in the language that Accept-Language asks for. Its handlers
// read a request and call a part.
type api struct {
	base
	parts
	accounts *accounts
	senders  *senders
	carriers *link.Edge // takes in what a carrier brings back
	unproven web.Bodies // of requests that need no token
	ca       string
}

func newAPI(o Options, b base, p parts) *api {
	return &api{
		base: b, parts: p, ca: o.CA,
		senders:  p.ebd.senders,
		accounts: newAccounts(b, o.Store, o.Token),
		unproven: web.Bodies{Small: maxUnproven, PerSource: perSourceAtOnce, Strangers: strangersAtOnce, Known: strangersAtOnce, Work: strangersAtOnce, Source: link.Source},
		carriers: &link.Edge{Store: p.edge, Key: o.Keys.Edge, Log: o.Log, Now: o.Now},
	}
}

const (
	maxUpload = 4 << 30  // bytes of a file that is to become a clip
	maxBody   = 16 << 20 // of other bodies
)

// done is what goes out if there is nothing to tell.
type done struct{}

func (a *api) login(r *http.Request) (any, error) {
	l, err := body[Login](r)
	if err != nil {
		return nil, err
	}
	return a.accounts.login(r.Context(), l, r.RemoteAddr)
}

func (a *api) logout(r *http.Request) (any, error) {
	return done{}, a.accounts.logout(r.Context(), bearer(r))
}

func (a *api) setAdmin(r *http.Request) (any, error) {
	l, err := body[Login](r)
	if err != nil {
		return nil, err
	}
	return done{}, a.accounts.setAdmin(r.Context(), l)
}

func (a *api) status(r *http.Request) (any, error) { return a.overview.status(r.Context()) }

func (a *api) listFleet(r *http.Request) (any, error) {
	q := r.URL.Query()
	return a.fleet.list(r.Context(), store.FleetQuery{
		Area: playlist.Area(q.Get("area")), Group: q.Get("group"), State: store.State(q.Get("state")),
	}, q.Get("silent") != "", q.Get("faulty") != "")
}

func (a *api) listCodes(r *http.Request) (any, error) {
	return list(a.enrolment.codes(r.Context()))
}

func (a *api) addCode(r *http.Request) (any, error) {
	n, err := body[NewCode](r)
	if err != nil {
		return nil, err
	}
	return a.enrolment.addCode(r.Context(), n)
}

// approve takes an [Approval], or no body.
func (a *api) approve(r *http.Request) (any, error) {
	var agreed Approval
	if r.ContentLength != 0 {
		var err error
		if agreed, err = body[Approval](r); err != nil {
			return nil, err
		}
	}
	return a.changed(r, func(ctx context.Context, id playlist.ControllerID) error { return a.fleet.approve(ctx, id, agreed) })
}

func (a *api) retire(r *http.Request) (any, error) { return a.changed(r, a.fleet.retire) }
func (a *api) revoke(r *http.Request) (any, error) { return a.changed(r, a.fleet.revoke) }

func (a *api) move(r *http.Request) (any, error) {
	m, err := body[Moved](r)
	if err != nil {
		return nil, err
	}
	return a.changed(r, func(ctx context.Context, id playlist.ControllerID) error { return a.fleet.move(ctx, id, m) })
}

// changed changes the controller that the path names, and returns it as it is
// then.
func (a *api) changed(r *http.Request, do func(context.Context, playlist.ControllerID) error) (any, error) {
	id := controllerOf(r)
	if err := do(r.Context(), id); err != nil {
		return nil, err
	}
	return a.fleet.find(r.Context(), id)
}

func (a *api) controllerLog(r *http.Request) (any, error) {
	n, err := number(r, "n", 100)
	if err != nil {
		return nil, err
	}
	return a.fleet.history(r.Context(), controllerOf(r), n)
}

func (a *api) listClips(r *http.Request) (any, error) {
	return list(a.clipLibrary.clips(r.Context(), r.URL.Query().Get("series")))
}

func (a *api) clip(r *http.Request) (any, error) {
	return a.clipLibrary.clip(r.Context(), playlist.ClipID(r.PathValue("id")))
}

// addClip makes a clip of the body.
func (a *api) addClip(r *http.Request) (any, error) {
	q := r.URL.Query()
	meta := ingest.Meta{Title: q.Get("title"), Series: q.Get("series"), Language: q.Get("language"), Tags: q["tag"], Text: q.Get("text"), AsIs: q.Get("as_is") == "true"}
	var err error
	if meta.Issue, err = number(r, "issue", 0); err != nil {
		return nil, err
	}
	if n := meta.Issue; q.Get("issue") != "" && (n < 1 || n > ingest.MaxIssue) {
		return nil, invalid("ingest.issue", n, ingest.MaxIssue)
	}
	ago, err := number(r, "began_ms_ago", 0) // not an instant: the clocks may differ
	if err != nil {
		return nil, err
	}
	var since time.Time
	if ago > 0 {
		since = a.now().Add(-time.Duration(ago) * time.Millisecond)
	}
	return a.clipLibrary.add(r.Context(), q.Get("name"), q.Get("folder"), meta, since, http.MaxBytesReader(nil, r.Body, maxUpload))
}

func (a *api) propose(r *http.Request) (any, error) {
	d, err := body[Draft](r)
	if err != nil {
		return nil, err
	}
	return a.programmes.propose(r.Context(), d)
}

func (a *api) push(r *http.Request) (any, error) {
	d, err := body[Draft](r)
	if err != nil {
		return nil, err
	}
	return a.programmes.issue(r.Context(), d)
}

// publish takes an envelope that was signed elsewhere, or shows what it would do.
func (a *api) publish(r *http.Request) (any, error) {
	raw, err := rawBody(r, maxBody)
	if err != nil {
		return nil, err
	}
	if r.URL.Query().Get("dry") != "" {
		return a.programmes.proposeSigned(r.Context(), raw)
	}
	return a.programmes.issueSigned(r.Context(), raw, r.URL.Query().Get("anyway") != "")
}

func (a *api) unsigned(r *http.Request) (any, error) {
	m, err := body[playlist.Manifest](r)
	if err != nil {
		return nil, err
	}
	raw, err := unsigned(m)
	return json.RawMessage(raw), err
}

func (a *api) listManifests(r *http.Request) (any, error) {
	return list(a.programmes.versions(r.Context(), scopeOf(r)))
}

func (a *api) earlier(r *http.Request) (any, error) {
	v, err := versionOf(r, "version")
	if err != nil {
		return nil, err
	}
	return a.programmes.proposeEarlier(r.Context(), scopeOf(r), v)
}

func (a *api) rollback(r *http.Request) (any, error) {
	v, err := versionOf(r, "version")
	if err != nil {
		return nil, err
	}
	if !r.URL.Query().Has("over") {
		return nil, invalid("county.no_over")
	}
	over, err := versionOf(r, "over")
	if err != nil {
		return nil, err
	}
	return a.programmes.rollback(r.Context(), scopeOf(r), v, over, r.URL.Query().Get("anyway") != "")
}

func (a *api) difference(r *http.Request) (any, error) {
	was, err := versionOf(r, "was")
	if err != nil {
		return nil, err
	}
	now, err := versionOf(r, "now")
	if err != nil {
		return nil, err
	}
	return a.programmes.difference(r.Context(), scopeOf(r), was, now)
}

// week shows what airs in the week from an instant on; from now on, if the query names none.
func (a *api) week(r *http.Request) (any, error) {
	from := a.now()
	if text := r.URL.Query().Get("from"); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil, invalid("county.bad_instant", "from", plain(text))
		}
		from = at.UTC()
	}
	return a.programmes.week(r.Context(), scopeOf(r), from)
}

func (a *api) delivery(r *http.Request) (any, error) {
	v, err := versionOf(r, "version")
	if err != nil {
		return nil, err
	}
	return a.programmes.delivery(r.Context(), scopeOf(r), v)
}

func (a *api) listDocuments(r *http.Request) (any, error) { return a.documents.held(r.Context()) }

func (a *api) addTrust(r *http.Request) (any, error) {
	raw, err := rawBody(r, maxBody)
	if err != nil {
		return nil, err
	}
	return done{}, a.documents.addTrust(r.Context(), raw)
}

// CarriedBack is what a carrier brought back.
type CarriedBack struct {
	Receipts int                `json:"receipts"`          // that are new
	Gaps     map[string][]int64 `json:"gaps,omitempty"`    // by controller/epoch: receipts before this number are still to come
	Refused  map[string]string  `json:"refused,omitempty"` // why, by file
}

// importCarrier takes in what a carrier brought back, from a folder of this
// machine.
func (a *api) importCarrier(r *http.Request) (any, error) {
	got, err := a.carriers.Import(r.Context(), link.Carrier{Dir: r.URL.Query().Get("dir")})
	back := CarriedBack{Receipts: got.Receipts, Gaps: got.Gaps, Refused: map[string]string{}}
	for name, why := range got.Refused {
		back.Refused[name] = say.In(languageOf(r), why)
	}
	return back, err
}

func (a *api) reachReport(r *http.Request) (any, error) {
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
	return a.reach.report(r.Context(), store.ReachQuery{
		By: by, From: playlist.Date(q.Get("from")), To: playlist.Date(q.Get("to")), Area: playlist.Area(q.Get("area")),
	})
}

func (a *api) listAlerts(r *http.Request) (any, error) {
	n, err := number(r, "n", 50)
	if err != nil {
		return nil, err
	}
	return list(a.outcomes.latest(r.Context(), n))
}

func (a *api) alertTimes(r *http.Request) (any, error) {
	v := r.URL.Query()
	q := TimesQuery{By: TimesBy(cmp.Or(v.Get("by"), string(TimesByVillage))), Class: emergency.Class(cmp.Or(v.Get("class"), string(emergency.ClassEmergency)))}
	if !slices.Contains(AllTimesBy, q.By) {
		return nil, invalid("county.bad_times_by", string(q.By), Joined(AllTimesBy))
	}
	if !slices.Contains(AllTimesClasses, q.Class) {
		return nil, invalid("county.bad_times_class", string(q.Class), Joined(AllTimesClasses))
	}
	for key, to := range map[string]*playlist.Date{"from": &q.From, "to": &q.To} {
		if text := v.Get(key); text != "" {
			day, err := playlist.ParseDate(text)
			if err != nil {
				return nil, invalid("cli.no_day", plain(text))
			}
			*to = day
		}
	}
	for _, text := range v["scope"] {
		s, err := playlist.ParseScope(text)
		if err != nil {
			return nil, err
		}
		q.Scopes = append(q.Scopes, s)
	}
	return a.outcomes.times(r.Context(), q)
}

func (a *api) alertByHand(r *http.Request) (any, error) {
	h, err := body[ByHand](r)
	if err != nil {
		return nil, err
	}
	v, err := a.alerts.takeByHand(r.Context(), h, deskOf(r))
	return v.in(languageOf(r)), err
}

// updateAlert puts what an operator writes in the place of an alert.
func (a *api) updateAlert(r *http.Request) (any, error) {
	h, err := body[ByHand](r)
	if err != nil {
		return nil, err
	}
	v, err := a.alerts.updateByHand(r.Context(), alertOf(r), h, deskOf(r))
	return v.in(languageOf(r)), err
}

// alertByFile takes a CAP or EBD message that an operator has as a file.
func (a *api) alertByFile(r *http.Request) (any, error) {
	raw, err := rawBody(r, alert.MaxTar)
	if err != nil {
		return nil, err
	}
	v, err := a.alerts.takeFile(r.Context(), raw, deskOf(r))
	return v.in(languageOf(r)), err
}

func (a *api) releaseAlert(r *http.Request) (any, error) {
	v, err := a.alerts.release(r.Context(), alertOf(r), deskOf(r).Dry)
	return v.in(languageOf(r)), err
}

func (a *api) declineAlert(r *http.Request) (any, error) {
	return a.alerts.decline(r.Context(), alertOf(r), r.URL.Query().Get("why"))
}

func (a *api) listTemplates(r *http.Request) (any, error) {
	return list(a.alerts.templates(languageOf(r)))
}

func (a *api) alertAccount(r *http.Request) (any, error) {
	return a.outcomes.account(r.Context(), alertOf(r))
}

func (a *api) cancelAlert(r *http.Request) (any, error) {
	return a.alerts.cancelByHand(r.Context(), alertOf(r))
}

func (a *api) listEBD(r *http.Request) (any, error) {
	n, err := number(r, "n", 50)
	if err != nil {
		return nil, err
	}
	return list(a.ebd.latest(r.Context(), n))
}

func (a *api) listNotices(r *http.Request) (any, error) {
	n, err := number(r, "n", 50)
	if err != nil {
		return nil, err
	}
	return list(a.notices.latest(r.Context(), n))
}

// testNotice sends a notice to the recipient that the query names.
func (a *api) testNotice(r *http.Request) (any, error) {
	return a.notices.test(r.Context(), r.URL.Query().Get("name"), languageOf(r))
}

func list[T any](all []T, err error) ([]T, error) {
	if all == nil {
		all = []T{}
	}
	return all, err
}

// What a request names, in its path or its query.

func controllerOf(r *http.Request) playlist.ControllerID {
	return playlist.ControllerID(r.PathValue("id"))
}

func scopeOf(r *http.Request) playlist.Scope   { return playlist.Scope(r.URL.Query().Get("scope")) }
func alertOf(r *http.Request) playlist.AlertID { return playlist.AlertID(r.URL.Query().Get("id")) }
func languageOf(r *http.Request) say.Lang      { return say.Choose(r.Header.Get("Accept-Language")) }

func deskOf(r *http.Request) Desk {
	q := r.URL.Query()
	return Desk{Dry: q.Get("dry") != "", Anyway: q.Get("anyway") != ""}
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

// versionOf is a version that the query names; 0 if it names none.
func versionOf(r *http.Request, key string) (int64, error) {
	text := r.URL.Query().Get(key)
	if text == "" {
		return 0, nil
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v < 0 || v > playlist.MaxVersion {
		return 0, invalid("county.bad_number", key, plain(text))
	}
	return v, nil
}

// body reads JSON that has no keys but those of T.
func body[T any](r *http.Request) (v T, err error) {
	raw, err := rawBody(r, maxBody)
	if err != nil {
		return v, invalid("county.bad_body", err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, invalid("county.bad_body", err)
	}
	return v, nil
}

func rawBody(r *http.Request, most int64) ([]byte, error) {
	return io.ReadAll(http.MaxBytesReader(nil, r.Body, most))
}

// ZoneHeader is the field of every response that names the county's zone, for
// programs that show instants to people; the instants themselves are in UTC.
const ZoneHeader = "Dalaba-Zone"

// write writes a value, or why there is none.
func (a *api) write(w http.ResponseWriter, r *http.Request, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set(ZoneHeader, a.zone.String())
	if err != nil {
		status := statusOf(err)
		text := say.In(languageOf(r), err)
		switch status {
		case http.StatusUnauthorized:
			text = say.M("county.denied").In(languageOf(r))
		case http.StatusServiceUnavailable:
			text = say.M("county.busy").In(languageOf(r))
		case http.StatusRequestEntityTooLarge:
			text = say.M("county.too_large").In(languageOf(r))
		case http.StatusInternalServerError:
			if r.Context().Err() == nil { // else the client has gone
				a.log.Error("request failed", "path", r.URL.Path, "err", err)
			}
		}
		w.WriteHeader(status)
		v = map[string]string{"error": text}
	}
	_ = json.NewEncoder(w).Encode(v) // a client that has gone asks again
}

// statusOf is the HTTP status of an error.
func statusOf(err error) int {
	switch {
	case errors.Is(err, store.ErrDenied):
		return http.StatusUnauthorized
	case errors.Is(err, store.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return http.StatusNotFound
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrStale), errors.Is(err, store.ErrUsedUp), errors.Is(err, errNoKey):
		return http.StatusConflict
	case errors.Is(err, playlist.ErrInvalid), errors.Is(err, ingest.ErrRefused), refusedByLink(err):
		return http.StatusUnprocessableEntity
	case errors.Is(err, web.ErrBusy):
		return http.StatusServiceUnavailable
	case errors.Is(err, web.ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errWait):
		return http.StatusTooManyRequests
	}
	return http.StatusInternalServerError
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
