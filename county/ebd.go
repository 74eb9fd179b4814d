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
	"strings"
	"time"

	"dalaba/alert"
	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// EBD is how a county speaks to the emergency system.
type EBD struct {
	EBRID     string        // our own number there; empty: the county's area code with six zeros
	URL       string        // of our own endpoint, told to others
	Upstream  string        // where heartbeats and states go that nobody else asked for
	To        string        // EBRID of whoever stands there
	Heartbeat time.Duration // 0: none
	Signer    *alert.Signer // nil: what we send is not signed
	Client    *http.Client  // default one with a timeout
}

// ourCounter is the name of our signatures' counter.
const ourCounter = "own EBD signatures"

func (c *County) client() *http.Client {
	if c.EBD.Client != nil {
		return c.EBD.Client
	}
	return &http.Client{Timeout: 30 * time.Second}
}

// head is the head of a package of ours.
func (c *County) head(ctx context.Context, to, related string) (alert.EBD, alert.Sign, error) {
	n, err := c.Store.NextCounter(ctx, "own EBD packages")
	if err != nil {
		return alert.EBD{}, alert.Sign{}, err
	}
	// Whoever has no number of his own there still has to sign with one.
	own := cmp.Or(c.EBD.EBRID, string(c.Area)+"000000")
	h := alert.EBD{ID: alert.EBDID(own, uint64(n)), From: own, FromURL: c.EBD.URL, To: to, Time: c.now(), Related: related}
	if c.EBD.Signer == nil {
		return h, alert.Sign{}, nil
	}
	counter, err := c.Store.NextCounter(ctx, ourCounter)
	return h, alert.Sign{By: c.EBD.Signer, Counter: counter}, err
}

// TakeEBD takes a package in and answers it. It ends what it began though
// whoever sent the package has hung up: he may never send it again.
func (c *County) TakeEBD(ctx context.Context, raw []byte, peer string) (alert.Package, error) {
	ctx = context.WithoutCancel(ctx)
	opts := c.Alerts.Trust
	opts.Now = c.now()
	m, err := alert.Parse(raw, opts)
	if err == nil && m.EBD.ID == "" {
		err = fmt.Errorf("%w: no EBD", alert.ErrUnknown)
	}
	answer := func(r alert.Result) (alert.Package, error) {
		log := store.EBD{ID: m.EBD.ID, Type: string(m.Kind), Peer: peer, Result: fmt.Sprintf("%d %s", r.Code, r.Desc)}
		if r.Code == alert.ResultReceived && m.Kind != alert.KindHeartbeat && emergency.Doubt(m.Alert.Signature, c.Alerts.facts(FromEBD)) == emergency.ReasonNone {
			log.Raw = raw // strangers may send as many and as large ones as they like
		}
		if err := c.Store.LogEBD(ctx, log); err != nil {
			return alert.Package{}, err
		}
		h, sign, err := c.head(ctx, m.EBD.From, m.EBD.ID)
		if err != nil {
			return alert.Package{}, err
		}
		return alert.Respond(h, r, sign)
	}
	if err != nil {
		c.Log.Warn("EBD refused", "peer", peer, "bytes", len(raw), "err", err)
		return answer(alert.Result{Code: alert.ResultOf(err, emergency.Signature{}), Desc: say.In(say.Chinese, err)})
	}
	switch m.Kind {
	case alert.KindEBM:
	case alert.KindStateRequest:
		doubt := emergency.Doubt(m.Alert.Signature, c.Alerts.facts(FromEBD))
		if doubt != emergency.ReasonNone && c.EBD.Upstream == "" {
			return answer(alert.Result{Code: alert.ResultSignature, Desc: say.M("county.refused_" + string(doubt)).In(say.Chinese)})
		}
		c.work.Go(func() { c.report(ctx, m.StateOf, c.answersTo(m.EBD.FromURL), m.EBD.From, m.EBD.ID) })
		return answer(alert.Result{Code: alert.ResultReceived, Desc: "已接收"})
	default:
		return answer(alert.Result{Code: alert.ResultReceived, Desc: "已接收"})
	}
	v, err := c.Take(ctx, Incoming{
		Alert: m.Alert, Raw: raw, Source: FromEBD, Silent: m.Silent.Key != "",
		Detail: store.AlertDetail{EBD: &store.EBDOrigin{EBDID: m.EBD.ID, From: m.EBD.From, URL: m.EBD.FromURL}},
	})
	if err != nil {
		c.Log.Error("EBM could not be taken", "alert", m.Alert.ID, "err", err)
		return answer(alert.Result{Code: alert.ResultOther, Desc: "暂时无法处理"})
	}
	r := alert.Result{Code: alert.ResultReceived, Desc: "已接收"}
	if v.State == emergency.StateRefused {
		r = alert.Result{Code: alert.ResultOther, Desc: say.M("county.refused_" + v.Why).In(say.Chinese)}
		switch emergency.Reason(v.Why) {
		case emergency.ReasonSignature, emergency.ReasonUnsigned, emergency.ReasonReplay:
			r.Code = alert.ResultSignature
		}
	}
	return answer(r)
}

// owedFor is how long whoever sent an alert is told how it went, after its end
// or after the last news, where he does not acknowledge it.
const owedFor = 24 * time.Hour

// answersTo is where states go that are due to whoever said that he is at url:
// what a message says of itself leads nowhere where the operator chose another.
func (c *County) answersTo(url string) string { return cmp.Or(c.EBD.Upstream, url) }

// tell reports on an alert to whoever sent it, when its state has changed. What
// he does not acknowledge, or whoever was to say it died over, is told again:
// see [County.tellAgain].
func (c *County) tell(ctx context.Context, id playlist.AlertID) {
	a, err := c.Store.Alert(ctx, id)
	if err != nil || a.Detail.EBD == nil {
		return
	}
	url := c.answersTo(a.Detail.EBD.URL)
	ctx = context.WithoutCancel(ctx)
	c.work.Go(func() {
		if !c.report(ctx, id, url, a.Detail.EBD.From, a.Detail.EBD.EBDID) && url != "" {
			return
		}
		_, err := c.Store.ChangeAlert(ctx, id, func(now *store.Alert) bool {
			if !now.Detail.Told.At.Equal(a.Detail.Told.At) {
				return false // there is news since
			}
			now.Owed = time.Time{}
			return true
		})
		if err != nil {
			c.Log.Warn("a report is not noted as sent; it will be sent again", "alert", id, "err", err)
		}
	})
}

// tellAgain reports what is owed, after waits that double up to half an hour.
// Each replica does; what one takes upon itself the others leave to it.
func (c *County) tellAgain(ctx context.Context) error {
	now := c.now()
	owed, err := c.Store.AlertsOwed(ctx, now)
	for _, a := range owed {
		mine, cerr := c.Store.ChangeAlert(ctx, a.ID, func(a *store.Alert) bool {
			if a.Owed.IsZero() || a.Owed.After(now) {
				return false
			}
			since := now.Sub(a.Detail.Told.At)
			a.Owed = now.Add(min(max(since, store.TellAgain), 30*time.Minute))
			if since > owedFor && now.Sub(a.Ends) > owedFor {
				a.Owed = time.Time{}
			}
			return true
		})
		err = errors.Join(err, cerr)
		if mine {
			c.tell(ctx, a.ID)
		}
	}
	return err
}

// brdState is the draft's code of a state.
func brdState(s emergency.State) (alert.BrdState, string) {
	switch s {
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

// StateOf is what an EBMStateResponse says of an alert: what was measured, and
// by which formula.
func (c *County) StateOf(ctx context.Context, id playlist.AlertID) (alert.State, error) {
	acc, err := c.AlertAccount(ctx, id)
	if err != nil {
		return alert.State{}, err
	}
	s := alert.State{EBM: id, At: c.now()}
	s.Code, s.Desc = brdState(acc.Alert.State)
	s.Desc += fmt.Sprintf("；覆盖率=完整播出终端的常住人口/目标终端的常住人口=%d/%d，未回执终端%d个",
		acc.CoverageRate.Numerator, acc.CoverageRate.Denominator, acc.CoverageRate.Unknown)
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

// report sends the state of an alert; false where that was not acknowledged.
func (c *County) report(ctx context.Context, id playlist.AlertID, url, to, related string) bool {
	s, err := c.StateOf(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		s, err = alert.State{EBM: id, At: c.now(), Code: alert.BrdUntouched, Desc: "没有这条消息"}, nil
	}
	var p alert.Package
	if err == nil {
		var h alert.EBD
		var sign alert.Sign
		if h, sign, err = c.head(ctx, to, related); err == nil {
			p, err = alert.ReportState(h, s, sign)
		}
	}
	if err == nil {
		err = c.post(ctx, url, p, alert.KindStateResponse)
	}
	if err != nil {
		c.Log.Warn("state could not be reported", "alert", id, "url", url, "err", err)
	}
	return err == nil
}

func (c *County) heartbeat(ctx context.Context) error {
	h, sign, err := c.head(ctx, c.EBD.To, "")
	if err != nil {
		return err
	}
	p, err := alert.Heartbeat(h, sign)
	if err != nil {
		return err
	}
	return c.post(ctx, c.EBD.Upstream, p, alert.KindHeartbeat)
}

// post sends a package and notes what was answered.
func (c *County) post(ctx context.Context, url string, p alert.Package, kind alert.Kind) error {
	if url == "" {
		return errors.New("nobody said where to")
	}
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
	resp, err := c.client().Do(r)
	result := ""
	if err == nil {
		answer, rerr := io.ReadAll(io.LimitReader(resp.Body, alert.MaxTar))
		err = errors.Join(rerr, resp.Body.Close())
		result = resp.Status
		if resp.StatusCode != http.StatusOK {
			err = errors.Join(err, fmt.Errorf("%s: %s", url, resp.Status))
		} else if m, perr := alert.Parse(answer, c.Alerts.Trust); perr == nil && m.Kind == alert.KindResponse {
			result = fmt.Sprintf("%d %s", m.Result.Code, m.Result.Desc)
			if m.Result.Code != alert.ResultReceived && m.Result.Code != alert.ResultDone {
				err = fmt.Errorf("%s: %s", url, result)
			}
		}
	}
	if err != nil {
		result = err.Error()
	}
	id := strings.TrimSuffix(strings.TrimPrefix(p.Name, "EBDT_"), ".tar")
	log := store.EBD{Out: true, ID: id, Type: string(kind), Peer: url, Result: result}
	if kind != alert.KindHeartbeat {
		log.Raw = p.Tar
	}
	return errors.Join(err, c.Store.LogEBD(ctx, log))
}

// form writes a package as the one part of a form, as the system has it.
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

// fromForm is the package in a request: the one file of a form, or the body.
func fromForm(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	r.Body = http.MaxBytesReader(w, r.Body, alert.MaxTar+(1<<20))
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return io.ReadAll(r.Body)
	}
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, err
	}
	for {
		p, err := parts.NextPart()
		if err != nil {
			return nil, err // io.EOF: there was no file
		}
		if p.FileName() != "" || p.Header.Get("Content-Type") == "application/x-tar" {
			return io.ReadAll(p)
		}
	}
}

// EBDHandler takes packages of the emergency system by POST and answers each on
// its connection.
func (c *County) EBDHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", "POST")
			http.Error(w, "POST", http.StatusMethodNotAllowed)
			return
		}
		raw, err := fromForm(w, r)
		if err != nil {
			http.Error(w, "no package", http.StatusBadRequest)
			return
		}
		p, err := c.TakeEBD(r.Context(), raw, r.RemoteAddr)
		if err != nil {
			c.Log.Error("EBD could not be answered", "peer", r.RemoteAddr, "err", err)
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/x-tar")
		w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": p.Name}))
		_, _ = w.Write(p.Tar) // whoever went away asks again
	})
}

// CAPHandler takes CAP messages by POST and answers a [Verdict].
func (c *County) CAPHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", "POST")
			http.Error(w, "POST", http.StatusMethodNotAllowed)
			return
		}
		raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, alert.MaxXML))
		if err != nil {
			http.Error(w, "no message", http.StatusBadRequest)
			return
		}
		v, err := c.TakeCAP(r.Context(), raw, FromCAP)
		c.Answer(w, r, v, err)
	})
}

// TakeCAP takes a CAP message in.
func (c *County) TakeCAP(ctx context.Context, raw []byte, source string) (Verdict, error) {
	opts := c.Alerts.Trust
	opts.Now = c.now()
	m, err := alert.Parse(raw, opts)
	if err != nil {
		return Verdict{}, err
	}
	if m.Kind != alert.KindAlert {
		return Verdict{}, invalid("county.not_an_alert", string(m.Kind))
	}
	return c.take(ctx, m, source)
}

func (c *County) take(ctx context.Context, m alert.Message, source string) (Verdict, error) {
	return c.Take(ctx, Incoming{Alert: m.Alert, Raw: m.Raw, Source: source, Silent: m.Silent.Key != ""})
}

// Feed is a feed of CAP messages that is asked again and again.
type Feed struct {
	URL    string
	Every  time.Duration // default a minute
	Silent time.Duration // without an answer for that long, somebody must look; default an hour
}

// maxFeed bounds a feed and each message that it names.
const maxFeed = alert.MaxXML

// feedState is what is known of a feed from one question to the next.
type feedState struct {
	tag, modified string
	seen          map[string]bool // entries that were taken; the store knows them too
	denied        map[string]int  // how often the link of an entry was answered with a no
}

// mostDenied is how often a link of a feed is tried that leads nowhere: a feed
// may name a message shortly before it is there.
const mostDenied = 10

// poll asks a feed until ctx ends. Where it does not answer it is asked less
// often, and after a while somebody is told.
func (c *County) poll(ctx context.Context, f Feed) {
	if f.Every == 0 {
		f.Every = time.Minute
	}
	if f.Silent == 0 {
		f.Silent = time.Hour
	}
	var (
		state    = feedState{seen: map[string]bool{}, denied: map[string]int{}}
		answered = c.now()
		wait     time.Duration
		alarmed  bool
	)
	for {
		err := c.pollOnce(ctx, f, &state)
		now := c.now()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			if alarmed {
				c.Log.Info("feed answers again", "url", f.URL)
			}
			answered, wait, alarmed = now, f.Every, false
		default:
			wait = min(max(2*wait, f.Every), 30*time.Minute)
			c.Log.Warn("feed did not answer", "url", f.URL, "again_in", wait, "err", err)
			if !alarmed && now.Sub(answered) >= f.Silent {
				alarmed = true
				c.Log.Error("feed has been silent for too long", "url", f.URL, "since", answered)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// pollOnce asks a feed once and takes what it names. An entry that cannot be
// taken is no fault of the feed: it is tried again at the next question.
func (c *County) pollOnce(ctx context.Context, f Feed, state *feedState) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, nil)
	if err != nil {
		return err
	}
	if state.tag != "" {
		r.Header.Set("If-None-Match", state.tag)
	}
	if state.modified != "" {
		r.Header.Set("If-Modified-Since", state.modified)
	}
	resp, err := c.client().Do(r)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxFeed+1))
	err = errors.Join(err, resp.Body.Close())
	switch {
	case err != nil:
		return err
	case resp.StatusCode == http.StatusNotModified:
		return nil
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", f.URL, resp.Status)
	case len(raw) > maxFeed:
		return alert.ErrTooLarge
	}
	opts := c.Alerts.Trust
	opts.Now = c.now()
	m, err := alert.Parse(raw, opts)
	if err != nil {
		return err
	}
	var failed error
	switch {
	case m.Kind == alert.KindAlert:
		_, failed = c.take(ctx, m, FromFeed)
	case m.Feed == nil:
		return invalid("county.not_an_alert", string(m.Kind))
	default:
		for _, e := range m.Feed.Entries {
			failed = errors.Join(failed, c.entry(ctx, r, e, state))
		}
	}
	state.tag, state.modified = resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")
	if failed != nil {
		c.Log.Warn("messages of a feed could not be taken; they are tried again", "url", f.URL, "err", failed)
		state.tag, state.modified = "", "" // the same again is wanted
	}
	return nil
}

// entry takes the alerts of a feed's entry, fetching those that it only names.
func (c *County) entry(ctx context.Context, feed *http.Request, e alert.Entry, state *feedState) error {
	for _, m := range e.Alerts {
		if _, err := c.take(ctx, m, FromFeed); err != nil {
			return err
		}
	}
	if len(e.Alerts) > 0 || len(e.Links) == 0 {
		return nil
	}
	key := e.ID + " " + e.Updated.String()
	if state.seen[key] {
		return nil
	}
	to, err := feed.URL.Parse(e.Links[0])
	if err != nil || to.Host != feed.URL.Host {
		// A feed does not send us about the network.
		c.Log.Warn("feed names a message elsewhere", "url", feed.URL.String(), "link", e.Links[0])
		state.seen[key] = true
		return nil
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return err
	}
	resp, err := c.client().Do(r)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxFeed+1))
	err = errors.Join(err, resp.Body.Close())
	switch {
	case err != nil:
		return err
	case resp.StatusCode >= 400 && resp.StatusCode < 500:
		if state.denied[key]++; state.denied[key] < mostDenied {
			return fmt.Errorf("%s: %s", to, resp.Status)
		}
		c.Log.Warn("feed names a message that is not there", "url", to.String(), "status", resp.Status)
		state.seen[key] = true
		return nil
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", to, resp.Status)
	}
	if _, err := c.TakeCAP(ctx, raw, FromFeed); err != nil && !errors.Is(err, playlist.ErrInvalid) {
		return err
	} else if err != nil {
		c.Log.Warn("message of a feed refused", "url", to.String(), "err", err)
	}
	state.seen[key] = true
	return nil
}
