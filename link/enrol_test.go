package link_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dalaba/link"
	"dalaba/playlist"
)

// enrolmentStore is a county's store of enrolments.
type enrolmentStore struct {
	mu       sync.Mutex
	codes    map[string]link.Code
	by       map[string]link.EnrolRequest
	decision func(link.EnrolRequest) link.Decision
}

func (d *enrolmentStore) EnrolCode(_ context.Context, id string) (link.Code, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, ok := d.codes[id]
	if !ok {
		return c, link.ErrCode
	}
	return c, nil
}

func (d *enrolmentStore) Enrol(_ context.Context, c link.Code, now time.Time, r link.EnrolRequest) (link.Decision, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	first, used := d.by[c.ID]
	switch {
	case used && !first.Key.Equal(r.Key):
		return link.Decision{}, link.ErrCodeUsed
	case !used && now.After(c.Expires):
		return link.Decision{}, link.ErrCode
	}
	d.by[c.ID] = r
	return d.decision(r), nil
}

// enrolServer is a county that serves enrolments over HTTP.
type enrolServer struct {
	*enrolmentStore
	countyKeys *countyKeys
	now        time.Time
	url        string
	// seen are the bodies that were sent.
	seen *bytes.Buffer
}

func newEnrolServer(t *testing.T) *enrolServer {
	h := &enrolServer{enrolmentStore: &enrolmentStore{codes: map[string]link.Code{}, by: map[string]link.EnrolRequest{}}, countyKeys: newCountyKeys(), now: time.Now(), seen: &bytes.Buffer{}}
	o := h.countyKeys
	h.decision = func(r link.EnrolRequest) link.Decision {
		return link.Decision{State: link.EnrolGranted, Trust: o.sealTrust(t, o.trust, o.roots[0], o.roots[2]),
			Member: must[link.Envelope](t)(link.SealMember(link.Member{Controller: "daba-1", Version: 1, Areas: r.Areas, JWT: "jwt"}, o.fleet)).Bytes()}
	}
	handler := &link.EnrolHandler{Store: h.enrolmentStore, Log: quiet(), Now: func() time.Time { return h.now }}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		h.seen.Write(body)
		h.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	h.url = srv.URL
	return h
}

func (h *enrolServer) code() string {
	text, c := link.NewCode(h.now)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.codes[c.ID] = c
	return text
}

func (h *enrolServer) enrolment(code string) link.Enrolment {
	return link.Enrolment{URL: h.url, Code: code, Key: link.NewKey(), Poll: time.Millisecond,
		Self: link.EnrolRequest{Site: "大坝村", Areas: []playlist.Area{village}, Outputs: 2, Residents: 830}}
}

func TestAControllerEnrolsWithItsCodeAndIsApproved(t *testing.T) {
	h := newEnrolServer(t)
	grant, asked := h.decision, 0
	h.decision = func(r link.EnrolRequest) link.Decision {
		if asked++; asked < 3 {
			return link.Decision{State: link.EnrolPending}
		}
		return grant(r)
	}
	code := h.code()
	o := h.enrolment(strings.ToLower(strings.ReplaceAll(code, "-", " ")))
	pending := 0
	o.Pending = func() { pending++ }
	e, err := link.Enrol(t.Context(), o)
	if err != nil || pending != 1 || e.Member.Member.Controller != "daba-1" || e.Trust.Trust.Fingerprint() != h.countyKeys.trust.Fingerprint() {
		t.Fatalf("%v, Pending called %d times, %+v", err, pending, e.Member)
	}
	for _, r := range h.by {
		if !r.Key.Equal(o.Key.Public()) || r.User != o.Key.BrokerUser() || r.Residents != 830 {
			t.Errorf("the county knows %+v", r)
		}
	}
	_, c := link.NewCode(h.now)
	parsed := must[link.Code](t)(link.ParseCode(code))
	if bytes.Contains(h.seen.Bytes(), []byte(code)) || bytes.Contains(h.seen.Bytes(), []byte(strings.ReplaceAll(code, "-", ""))) || c.ID == parsed.ID {
		t.Error("the code went over the line")
	}
	m := newMemory()
	if err := m.Adopt(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	who, err := (&link.Controller{Key: o.Key, Store: m, Log: quiet()}).Member(t.Context())
	if err != nil || who.JWT != "jwt" {
		t.Errorf("%+v, %v", who, err)
	}
}

// slip returns the code with one character wrong.
func slip(code string) string {
	wrong := "A"
	if code[2:3] == wrong {
		wrong = "B"
	}
	return code[:2] + wrong + code[3:]
}

func TestEnrolmentIsRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*testing.T, *enrolServer, *link.Enrolment)
		want error
	}{
		{"with a code that the county did not make", func(_ *testing.T, h *enrolServer, o *link.Enrolment) { o.Code, _ = link.NewCode(h.now) }, link.ErrCode},
		{"with a typing error in the code", func(_ *testing.T, h *enrolServer, o *link.Enrolment) { o.Code = slip(o.Code) }, playlist.ErrInvalid},
		{"a day later", func(_ *testing.T, h *enrolServer, _ *link.Enrolment) { h.now = h.now.Add(link.CodeLife + time.Minute) }, link.ErrCode},
		{"with a code that another has used", func(t *testing.T, h *enrolServer, o *link.Enrolment) {
			if _, err := link.Enrol(t.Context(), h.enrolment(o.Code)); err != nil {
				t.Fatal(err)
			}
		}, link.ErrCode},
		{"by the county's decision", func(_ *testing.T, h *enrolServer, _ *link.Enrolment) {
			h.decision = func(link.EnrolRequest) link.Decision {
				return link.Decision{State: link.EnrolRefused, Reason: "不认识"}
			}
		}, link.ErrRefused},
		{"by a county that signs with too few keys", func(t *testing.T, h *enrolServer, _ *link.Enrolment) {
			good := h.decision
			h.decision = func(r link.EnrolRequest) link.Decision {
				d := good(r)
				d.Trust = h.countyKeys.sealTrust(t, h.countyKeys.trust, h.countyKeys.roots[0])
				return d
			}
		}, link.ErrSignature},
		{"by a server in between that does not know the code", func(t *testing.T, h *enrolServer, o *link.Enrolment) {
			liar := newEnrolServer(t)
			_, c := link.NewCode(h.now)
			c.ID = must[link.Code](t)(link.ParseCode(o.Code)).ID // it learns the ID, but not the secret
			liar.codes[c.ID] = c
			o.URL = liar.url
		}, link.ErrCode},
		{"by a response changed on the way", func(t *testing.T, h *enrolServer, o *link.Enrolment) {
			evil := newCountyKeys()
			between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				resp, err := insecure.Post(h.url+"/enrol", "application/json", r.Body)
				if err != nil {
					return
				}
				defer resp.Body.Close()
				body, _ := io.ReadAll(resp.Body)
				if bytes.Contains(body, []byte(`"decision"`)) {
					text := evil.sealTrust(t, evil.trust, evil.roots[0], evil.roots[1])
					body = decisionWith(t, body, text)
				}
				_, _ = w.Write(body)
			}))
			t.Cleanup(between.Close)
			o.URL = between.URL
		}, link.ErrProof},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newEnrolServer(t)
			o := h.enrolment(h.code())
			c.do(t, h, &o)
			if _, err := link.Enrol(t.Context(), o); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

func TestAPendingControllerMayAskAgainLater(t *testing.T) {
	h := newEnrolServer(t)
	grant := h.decision
	h.decision = func(link.EnrolRequest) link.Decision { return link.Decision{State: link.EnrolPending} }
	o := h.enrolment(h.code())
	ctx, cancel := context.WithCancel(t.Context())
	o.Pending = cancel
	if _, err := link.Enrol(ctx, o); !errors.Is(err, link.ErrPending) || !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	h.now = h.now.Add(3 * 24 * time.Hour) // approved three days later
	h.decision = grant
	if _, err := link.Enrol(t.Context(), o); err != nil {
		t.Error(err)
	}
}

func TestAnEnrolmentCannotBeReplayed(t *testing.T) {
	h := newEnrolServer(t)
	var last []byte
	o := h.enrolment(h.code())
	o.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		last, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(last))
		return insecure.Transport.RoundTrip(r)
	})}
	if _, err := link.Enrol(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	post := func() int {
		resp, err := insecure.Post(h.url+"/enrol", "application/json", bytes.NewReader(last))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := post(); got != http.StatusOK { // the same key asks again: the line may have broken
		t.Errorf("at once: %d", got)
	}
	h.now = h.now.Add(10 * time.Minute)
	if got := post(); got != http.StatusForbidden {
		t.Errorf("later: %d", got)
	}
}

func TestCodesAreReadAsPeopleTypeThem(t *testing.T) {
	text, c := link.NewCode(time.Now())
	if len(text) != 34 {
		t.Errorf("code %q", text)
	}
	slips := strings.NewReplacer("0", "o", "1", "l")
	for _, typed := range []string{text, strings.ToLower(text), strings.ReplaceAll(text, "-", ""), " " + slips.Replace(text) + " "} {
		if got, err := link.ParseCode(typed); err != nil || got.ID != c.ID || !bytes.Equal(got.Secret, c.Secret) {
			t.Errorf("%q: %v", typed, err)
		}
	}
	wrong := 0
	for i := range text {
		for _, r := range "0Z" {
			if typed := text[:i] + string(r) + text[i+1:]; typed != text && text[i] != '-' {
				if _, err := link.ParseCode(typed); err == nil {
					wrong++
				}
			}
		}
	}
	if wrong > 2 {
		t.Errorf("%d single slips passed", wrong)
	}
}

var insecure = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// decisionWith returns the county's response with another trust document in it.
func decisionWith(t *testing.T, answer, trust []byte) []byte {
	var a map[string][]byte
	var d link.Decision
	if err := errors.Join(json.Unmarshal(answer, &a), json.Unmarshal(a["decision"], &d)); err != nil {
		t.Error(err)
	}
	d.Trust = trust
	text, err := json.Marshal(d)
	if err != nil {
		t.Error(err)
	}
	a["decision"] = text
	text, _ = json.Marshal(a)
	return text
}

func TestAControllerCannotEnrolTheKeyOfAnother(t *testing.T) {
	mine, other := link.NewKey(), link.NewKey()
	for _, c := range []struct {
		name string
		self link.EnrolRequest
		want error
	}{
		{"its own key and login", link.EnrolRequest{Key: mine.Public(), User: mine.BrokerUser(), UserSig: link.ProveLogin(mine, mine.Public())}, nil},
		{"another's key", link.EnrolRequest{Key: other.Public(), User: other.BrokerUser(), UserSig: link.ProveLogin(other, other.Public())}, link.ErrCode},
		{"another's login", link.EnrolRequest{Key: mine.Public(), User: other.BrokerUser(), UserSig: link.ProveLogin(other, other.Public())}, link.ErrCode},
		{"no login", link.EnrolRequest{Key: mine.Public()}, link.ErrCode},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newEnrolServer(t)
			if _, err := link.AskToEnrol(t.Context(), link.Enrolment{URL: h.url, Code: h.code(), Key: mine, Self: c.self, Client: insecure}); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

func TestOnlyAnAddressWithTooManyFailedRequestsIsRejected(t *testing.T) {
	h := newEnrolServer(t)
	handler := &link.EnrolHandler{Store: h.enrolmentStore, Log: quiet(), Now: func() time.Time { return h.now }}
	ask := func(from, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/enrol", strings.NewReader(body))
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	const bad, neighbour, other = "192.0.2.7:1000", "192.0.2.8:1000", "[2001:db8:0:1::5]:99"
	right := `{"code":"` + must[link.Code](t)(link.ParseCode(h.code())).ID + `"}`
	_, stranger := link.NewCode(h.now)
	wrong := `{"code":"` + stranger.ID + `"}`
	for range 200 { // a controller that knows its code may ask any number of times
		if w := ask(bad, right); w.Code != http.StatusOK {
			t.Fatalf("right: %d", w.Code)
		}
	}
	turned := 0
	for i := range 50 {
		body := wrong
		if i%2 == 0 {
			body = "no enrolment at all"
		}
		w := ask(bad, body)
		if w.Code == http.StatusTooManyRequests {
			turned++
			if w.Header().Get("Retry-After") != "1" {
				t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
			}
		}
	}
	if turned != 20 {
		t.Errorf("%d of 50 were turned away, want 20", turned)
	}
	if w := ask(bad, right); w.Code != http.StatusTooManyRequests {
		t.Errorf("its next: %d", w.Code)
	}
	for _, from := range []string{neighbour, other} {
		if w := ask(from, right); w.Code != http.StatusOK {
			t.Errorf("%s: %d", from, w.Code)
		}
	}
	h.now = h.now.Add(time.Second)
	if a, b := ask(bad, wrong).Code, ask(bad, wrong).Code; a != http.StatusForbidden || b != http.StatusTooManyRequests {
		t.Errorf("a second later %d, %d", a, b)
	}
	for i := range 40 { // one customer has many addresses
		ask(fmt.Sprintf("[2001:db8:0:1::%x]:99", i), wrong)
	}
	if w := ask("[2001:db8:0:1:ffff::1]:99", right); w.Code != http.StatusTooManyRequests {
		t.Errorf("from the same network: %d", w.Code)
	}
	if w := ask("[2001:db8:0:2::1]:99", right); w.Code != http.StatusOK {
		t.Errorf("from the next: %d", w.Code)
	}
	turned = 0
	for i := range 3000 {
		if ask(fmt.Sprintf("10.1.%d.%d:5", i/200, i%200), right).Code == http.StatusTooManyRequests {
			turned++
		}
	}
	if turned == 0 || turned > 1500 {
		t.Errorf("of 3,000 at once %d were turned away", turned)
	}
}

func TestAControllerWaitsIfTheCountyIsBusy(t *testing.T) {
	h := newEnrolServer(t)
	o := h.enrolment(h.code())
	var turned atomic.Int32
	crowded := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if turned.Add(1) == 1 {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too often", http.StatusTooManyRequests)
			return
		}
		resp, err := insecure.Post(h.url+"/enrol", "application/json", r.Body)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(crowded.Close)
	o.URL = crowded.URL
	var told []time.Duration
	o.Busy = func(wait time.Duration) { told = append(told, wait) }
	if _, err := link.Enrol(t.Context(), o); err != nil || len(told) != 1 || told[0] != time.Second {
		t.Errorf("%v, waits %v", err, told)
	}
	ctx, stop := context.WithCancel(t.Context())
	turned.Store(0)
	o.Busy = func(time.Duration) { stop() }
	if _, err := link.Enrol(ctx, o); !errors.Is(err, link.ErrBusy) {
		t.Errorf("%v", err)
	}
}
