package county

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"dalaba/alert"
	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// EBD is how a county speaks to the emergency system.
type EBD struct {
	EBRID     string        // our own number there; empty: the county's area code with six zeros
	URL       string        // of our own endpoint, told to others
	Upstream  string        // address for heartbeats and all states; empty: states go to their senders
	Partners  []string      // addresses of senders that states may go to
	To        string        // EBRID of the platform at Upstream
	Heartbeat time.Duration // 0: none
	Signer    *alert.Signer // nil: what we send is not signed
	Client    *http.Client  // default one with a timeout
}

// client follows no redirects: they would lead to addresses that the operator did not
// choose.
func (s EBD) client() *http.Client {
	c := http.Client{Timeout: 30 * time.Second}
	if s.Client != nil {
		c = *s.Client
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// ebdStore keeps the packages that came and went, and what is owed to senders.
type ebdStore interface {
	NextCounter(ctx context.Context, name string) (uint32, error)
	LogEBD(ctx context.Context, m store.EBD) error
	EBDs(ctx context.Context, limit int) ([]store.EBD, error)
	Alert(ctx context.Context, id playlist.AlertID) (store.Alert, error)
	AlertsOwed(ctx context.Context, now time.Time) ([]store.Alert, error)
	ChangeAlert(ctx context.Context, id playlist.AlertID, f func(*store.Alert) bool) (changed bool, err error)
}

// ebd speaks to the emergency system: it takes packages in, and reports to the
// senders of alerts.
type ebd struct {
	base
	store    ebdStore
	settings EBD
	alerts   *alerts
	outcomes *outcomes
	work     *errands
	senders  *senders

	strangers link.Tally // senders that are no partners
}

// The names of our own counters in the store.
const (
	packageCounter   = "own EBD packages"
	signatureCounter = "own EBD signatures"
)

// head is the head of a package of ours.
func (e *ebd) head(ctx context.Context, to, related string) (alert.EBD, alert.Sign, error) {
	n, err := e.store.NextCounter(ctx, packageCounter)
	if err != nil {
		return alert.EBD{}, alert.Sign{}, err
	}
	// A county without a number there still has to sign with one.
	own := cmp.Or(e.settings.EBRID, string(e.area)+"000000")
	h := alert.EBD{ID: alert.EBDID(own, uint64(n)), From: own, FromURL: e.settings.URL, To: to, Time: e.now(), Related: related}
	if e.settings.Signer == nil {
		return h, alert.Sign{}, nil
	}
	counter, err := e.store.NextCounter(ctx, signatureCounter)
	return h, alert.Sign{By: e.settings.Signer, Counter: counter}, err
}

// received is the result of a package that needs no decision.
var received = alert.Result{Code: alert.ResultReceived, Desc: "已接收"}

// notNow asks for the package again.
var notNow = alert.Result{Code: alert.ResultOther, Desc: "暂时无法处理"}

// take takes a package in and returns the response to it. It ends what it began
// even if the sender has hung up, for it may never send the package again.
func (e *ebd) take(r *http.Request, raw []byte) (alert.Package, error) {
	ctx, peer := context.WithoutCancel(r.Context()), r.RemoteAddr
	m, err := e.alerts.parse(ctx, raw)
	if err == nil && m.EBD.ID == "" {
		err = fmt.Errorf("%w: no EBD", alert.ErrUnknown)
	}
	if err != nil {
		e.senders.refuse(r, err)
		return e.respond(ctx, m, nil, peer, alert.Result{Code: alert.ResultOf(err, emergency.Signature{}), Desc: say.In(say.Chinese, err)})
	}
	result, keep := received, false
	switch m.Kind {
	case alert.KindEBM:
		result, keep = e.takeEBM(r, m)
	case alert.KindStateRequest:
		result = e.takeStateRequest(ctx, m)
	}
	if !keep {
		raw = nil
	}
	return e.respond(ctx, m, raw, peer, result)
}

// latest lists the latest packages that came or went, the latest first.
func (e *ebd) latest(ctx context.Context, limit int) ([]store.EBD, error) {
	return e.store.EBDs(ctx, limit)
}

// doubt is why a package is not believed.
func (e *ebd) doubt(m alert.Message) emergency.Reason {
	return emergency.Doubt(m.Alert.Signature, e.alerts.rules.facts(FromEBD))
}

// respond logs a package that came, with raw, and makes the response to it.
func (e *ebd) respond(ctx context.Context, m alert.Message, raw []byte, peer string, r alert.Result) (alert.Package, error) {
	log := store.EBD{ID: m.EBD.ID, Type: string(m.Kind), Peer: peer, Result: fmt.Sprintf("%d %s", r.Code, r.Desc), Raw: raw}
	if err := e.store.LogEBD(ctx, log); err != nil {
		return alert.Package{}, err
	}
	h, sign, err := e.head(ctx, m.EBD.From, m.EBD.ID)
	if err != nil {
		return alert.Package{}, err
	}
	return alert.Respond(h, r, sign)
}

// takeEBM takes an emergency message in. keep reports whether its package is to be kept:
// of others, strangers may send as many as they like, also copies of those that they saw.
func (e *ebd) takeEBM(r *http.Request, m alert.Message) (result alert.Result, keep bool) {
	in := incomingOf(m, FromEBD)
	in.Detail.EBD = &store.EBDOrigin{EBDID: m.EBD.ID, From: m.EBD.From, URL: m.EBD.FromURL}
	v, err := e.alerts.take(r.Context(), in)
	if err != nil {
		e.log.Error("EBM could not be taken", "alert", m.Alert.ID, "err", err)
		return notNow, false
	}
	e.senders.believe(r, v)
	if v.doubt != emergency.ReasonNone {
		e.senders.refuse(r, doubted(v.doubt))
	}
	if v.State != emergency.StateRefused {
		return received, !v.Duplicate
	}
	result = alert.Result{Code: alert.ResultOther, Desc: refusal(emergency.Reason(v.Why))}
	switch emergency.Reason(v.Why) {
	case emergency.ReasonSignature, emergency.ReasonUnsigned, emergency.ReasonReplay:
		result.Code = alert.ResultSignature
	}
	return result, false
}

// takeStateRequest reports the state of an alert, if the request is believed and there
// is an address for the report.
func (e *ebd) takeStateRequest(ctx context.Context, m alert.Message) alert.Result {
	if doubt := e.doubt(m); doubt != emergency.ReasonNone {
		return alert.Result{Code: alert.ResultSignature, Desc: refusal(doubt)}
	}
	to := e.reportsTo(m.EBD.FromURL)
	if to == "" {
		return alert.Result{Code: alert.ResultOther, Desc: say.M("county.no_partner").In(say.Chinese)}
	}
	e.work.do(func(context.Context) { e.report(ctx, m.StateOf, to, m.EBD.From, m.EBD.ID) })
	return received
}

// refusal puts into words why a message is refused.
func refusal(why emergency.Reason) string {
	return say.M("county.refused_" + string(why)).In(say.Chinese)
}

// owedFor is how long the sender of an alert is told how it went, after its end
// or after the last news, if it does not acknowledge that.
const owedFor = 24 * time.Hour

// longestWait is the longest time between two attempts.
const longestWait = 30 * time.Minute

// reportsTo is the address for reports to a sender that says it is at url: the one that
// the operator chose, or url if it is a partner's. Empty: it is told nothing. A message
// could name any machine of the county's network.
func (e *ebd) reportsTo(url string) string {
	if e.settings.Upstream != "" {
		return e.settings.Upstream
	}
	if slices.Contains(e.settings.Partners, url) {
		return url
	}
	if url != "" {
		e.strangers.Warn(e.log, "", "a sender is told nothing: its address is not among [ebd] partners", nil, "url", url)
	}
	return ""
}

// tell reports on an alert to its sender. A report that is not acknowledged, or
// that is lost because this process dies, is sent again: see [ebd.tellAgain].
func (e *ebd) tell(ctx context.Context, id playlist.AlertID) {
	a, err := e.store.Alert(ctx, id)
	if err != nil || a.Detail.EBD == nil {
		return
	}
	url := e.reportsTo(a.Detail.EBD.URL)
	ctx = context.WithoutCancel(ctx)
	e.work.do(func(context.Context) {
		if url != "" && !e.report(ctx, id, url, a.Detail.EBD.From, a.Detail.EBD.EBDID) {
			return
		}
		_, err := e.store.ChangeAlert(ctx, id, func(now *store.Alert) bool {
			if !now.Detail.Told.At.Equal(a.Detail.Told.At) {
				return false // there is news since
			}
			now.Owed = time.Time{}
			return true
		})
		if err != nil {
			e.log.Warn("a report is not noted as sent; it will be sent again", "alert", id, "err", err)
		}
	})
}

// tellAgain sends the reports that are owed, after waits that double up to half
// an hour. Every replica does so; a report that one has taken on, the others
// leave to it.
func (e *ebd) tellAgain(ctx context.Context) error {
	now := e.now()
	owed, err := e.store.AlertsOwed(ctx, now)
	for _, a := range owed {
		mine, cerr := e.store.ChangeAlert(ctx, a.ID, func(a *store.Alert) bool {
			if a.Owed.IsZero() || a.Owed.After(now) {
				return false
			}
			since := now.Sub(a.Detail.Told.At)
			a.Owed = now.Add(min(max(since, store.TellAgain), longestWait))
			if since > owedFor && now.Sub(a.Ends) > owedFor {
				a.Owed = time.Time{}
			}
			return true
		})
		err = errors.Join(err, cerr)
		if mine {
			e.tell(ctx, a.ID)
		}
	}
	return err
}

// brdState is the draft's code of a state.
func brdState(s emergency.State) (alert.BrdState, string) {
	switch s {
	case emergency.StateReview:
		return alert.BrdWaiting, "等待人工审核"
	case emergency.StateWaiting:
		return alert.BrdWaiting, "等待播发"
	case emergency.StateAiring:
		return alert.BrdAiring, "播发中"
	case emergency.StateDone:
		return alert.BrdDone, "播发成功"
	case emergency.StatePartial:
		return alert.BrdFailed, "部分播发"
	case emergency.StateFailed:
		return alert.BrdFailed, "播发失败"
	case emergency.StateCancelled:
		return alert.BrdCancelled, "播发取消"
	}
	return alert.BrdUntouched, "未处理"
}

// stateOf is what an EBMStateResponse says of an alert: what was measured, and
// by which formula.
func (e *ebd) stateOf(ctx context.Context, id playlist.AlertID) (alert.State, error) {
	acc, err := e.outcomes.account(ctx, id)
	if err != nil {
		return alert.State{}, err
	}
	s := alert.State{EBM: id, At: e.now()}
	s.Code, s.Desc = brdState(acc.Alert.State)
	if acc.Alert.State == emergency.StateRefused {
		s.Desc += "；" + refusal(emergency.Reason(acc.Alert.Why))
	}
	s.Desc += fmt.Sprintf("；覆盖率=完整播出终端的常住人口/目标终端的常住人口=%d/%d，未回执、情况不明的人口%d",
		acc.CoverageRate.Numerator, acc.CoverageRate.Denominator, acc.CoverageRate.Unknown)
	for _, short := range acc.Short {
		if short.Unsent {
			s.Desc += "；" + say.M(short.Why).In(say.Chinese)
			break
		}
	}
	if acc.CoverageRate.Value != nil {
		s.Coverage = &alert.Coverage{Rate: *acc.CoverageRate.Value, Areas: acc.Alert.Areas, Stat: acc.ResBrdStat}
	}
	for _, t := range acc.All {
		item := alert.StateItem{Device: string(t.Controller), At: s.At, Start: t.Started, End: t.Ended, Code: alert.BrdWaiting, Desc: t.Name}
		switch {
		case t.Outputs > 0 && t.Completed == t.Outputs:
			item.Code = alert.BrdDone
		case acc.Alert.State.Over():
			item.Code = alert.BrdFailed
		case !t.Started.IsZero():
			item.Code = alert.BrdAiring
		}
		s.Items = append(s.Items, item)
	}
	return s, nil
}

// report sends the state of an alert, and reports whether that was acknowledged.
func (e *ebd) report(ctx context.Context, id playlist.AlertID, url, to, related string) bool {
	s, err := e.stateOf(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		s, err = alert.State{EBM: id, At: e.now(), Code: alert.BrdUntouched, Desc: "没有这条消息"}, nil
	}
	var p alert.Package
	if err == nil {
		var h alert.EBD
		var sign alert.Sign
		if h, sign, err = e.head(ctx, to, related); err == nil {
			p, err = alert.ReportState(h, s, sign)
		}
	}
	if err == nil {
		err = e.post(ctx, url, p, alert.KindStateResponse)
	}
	if err != nil {
		e.log.Warn("state could not be reported", "alert", id, "url", url, "err", err)
	}
	return err == nil
}

func (e *ebd) heartbeat(ctx context.Context) error {
	h, sign, err := e.head(ctx, e.settings.To, "")
	if err != nil {
		return err
	}
	p, err := alert.Heartbeat(h, sign)
	if err != nil {
		return err
	}
	return e.post(ctx, e.settings.Upstream, p, alert.KindHeartbeat)
}

// post sends a package and logs it with the response.
func (e *ebd) post(ctx context.Context, url string, p alert.Package, kind alert.Kind) error {
	var body bytes.Buffer
	contentType, err := form(&body, p)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, &body)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", contentType)
	result, err := e.send(r)
	if err != nil {
		result = err.Error()
	}
	id := strings.TrimSuffix(strings.TrimPrefix(p.Name, "EBDT_"), ".tar")
	log := store.EBD{Out: true, ID: id, Type: string(kind), Peer: url, Result: result}
	if kind != alert.KindHeartbeat {
		log.Raw = p.Tar
	}
	return errors.Join(err, e.store.LogEBD(ctx, log))
}

// send sends a request and returns the result that came back.
func (e *ebd) send(r *http.Request) (result string, err error) {
	resp, err := e.settings.client().Do(r)
	if err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, alert.MaxTar))
	err = errors.Join(err, resp.Body.Close())
	if resp.StatusCode != http.StatusOK {
		return resp.Status, errors.Join(err, fmt.Errorf("%s: %s", r.URL, resp.Status))
	}
	m, perr := alert.Parse(r.Context(), answer, e.alerts.rules.Trust)
	if perr != nil || m.Kind != alert.KindResponse {
		return resp.Status, err
	}
	result = fmt.Sprintf("%d %s", m.Result.Code, m.Result.Desc)
	if m.Result.Code != alert.ResultReceived && m.Result.Code != alert.ResultDone {
		err = fmt.Errorf("%s: %s", r.URL, result)
	}
	return result, err
}

// form writes a package as the one part of a form, as the system wants it.
func form(w io.Writer, p alert.Package) (contentType string, err error) {
	f := multipart.NewWriter(w)
	part, err := f.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {mime.FormatMediaType("form-data", map[string]string{"name": "file", "filename": p.Name})},
		"Content-Type":        {"application/x-tar"},
	})
	if err != nil {
		return "", err
	}
	if _, err := part.Write(p.Tar); err != nil {
		return "", err
	}
	return f.FormDataContentType(), f.Close()
}

// maxFormHead is how much of a form may come before its file, in bytes.
const maxFormHead = 8 << 10

// formFile is the one file of a form. The form is not looked into before the file is
// read: until then it has no place among the messages that are read at once.
type formFile struct {
	io.ReadCloser // the form
	boundary      string
	left          int // bytes of the form that may come before the file
	file          io.Reader
}

// fromForm makes the body of a request the package in it: the one file of a form, or
// the body as it is.
func fromForm(w http.ResponseWriter, r *http.Request) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return
	}
	form := http.MaxBytesReader(w, r.Body, alert.MaxTar+(1<<20))
	r.Body = &formFile{ReadCloser: form, boundary: params["boundary"], left: maxFormHead}
	r.ContentLength = min(r.ContentLength, alert.MaxTar) // that of the form; the package has less
}

// Read reads the file.
func (f *formFile) Read(b []byte) (int, error) {
	if f.file == nil {
		parts := multipart.NewReader(formHead{f}, f.boundary)
		for f.file == nil {
			p, err := parts.NextPart()
			if err == io.EOF {
				return 0, io.ErrUnexpectedEOF // there was no file
			}
			if err != nil {
				return 0, err
			}
			if p.FileName() != "" || p.Header.Get("Content-Type") == "application/x-tar" {
				f.file = p
			}
		}
	}
	return f.file.Read(b)
}

// formHead is a form, of which little is read as long as there is no file.
type formHead struct{ *formFile }

func (f formHead) Read(b []byte) (n int, err error) {
	if f.file != nil {
		return f.ReadCloser.Read(b)
	}
	if f.left == 0 {
		return 0, alert.ErrTooLarge
	}
	n, err = f.ReadCloser.Read(b[:min(len(b), f.left)])
	f.left -= n
	return n, err
}

// ServeHTTP takes packages of the emergency system by POST and writes the response to
// each. Who was believed before gets it in its form even if the package was not read.
func (e *ebd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	var p alert.Package
	fromForm(w, r)
	raw, done, err := e.senders.read(w, r, alert.MaxTar)
	switch {
	case err == nil:
		defer done()
		p, err = e.take(r, raw)
	case e.senders.knows(r):
		p, err = e.respond(r.Context(), alert.Message{}, nil, r.RemoteAddr, notNow)
	default:
		refuseBody(w, err)
		return
	}
	if err != nil {
		e.log.Error("EBD could not be answered", "peer", r.RemoteAddr, "err", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": p.Name}))
	_, _ = w.Write(p.Tar) // a sender that has gone sends again
}
