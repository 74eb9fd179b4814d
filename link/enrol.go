package link

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nkeys"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// CodeLife is how long an enrolment code is valid before a controller first uses it.
const CodeLife = 24 * time.Hour

const (
	nonceLife    = 5 * time.Minute
	maxEnrolBody = 64 << 10
	maxGrantBody = 2 << 20
	enrolPoll    = 5 * time.Second
)

// Code is a one-time enrolment code as the county keeps it. The code itself is shown
// to a person and stored nowhere. Both ends prove to each other that they know it,
// and neither sends it.
type Code struct {
	ID      string // derived from the code; not secret
	Secret  []byte // derived from the code
	Expires time.Time
}

var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// NewCode makes a code of 128 bits and the text to give to a person: seven groups
// of four characters, of which the last two are a checksum against typing errors.
func NewCode(now time.Time) (text string, c Code) {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // cannot fail
	text = crockford.EncodeToString(raw) + checksum(raw)
	c = deriveCode(raw)
	c.Expires = now.Add(CodeLife)
	return strings.ReplaceAll(grouped(text), " ", "-"), c
}

// checksum returns the last two characters of a code.
func checksum(raw []byte) string {
	h := sha256.Sum256(append([]byte("dalaba code "), raw...))
	return crockford.EncodeToString(h[:5])[:2]
}

func deriveCode(raw []byte) Code {
	part := func(what string, n int) []byte {
		b, err := hkdf.Key(sha256.New, raw, nil, "dalaba enrol "+what, n)
		if err != nil {
			panic(err)
		}
		return b
	}
	return Code{ID: hex.EncodeToString(part("id", 16)), Secret: part("secret", 32)}
}

// ParseCode reads a code as a person typed it. Case, blanks and dashes do not
// matter; O is read as 0, I and L as 1.
func ParseCode(text string) (Code, error) {
	s := strings.NewReplacer(" ", "", "-", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(text))
	wrong := fault{playlist.ErrInvalid, say.M("link.code_slip")}
	if len(s) != 28 {
		return Code{}, wrong
	}
	raw, err := crockford.DecodeString(s[:26])
	if err != nil || crockford.EncodeToString(raw)+checksum(raw) != s {
		return Code{}, wrong
	}
	return deriveCode(raw), nil
}

// EnrolRequest is what a controller tells the county about itself.
type EnrolRequest struct {
	Key       PublicKey       `json:"key"`
	User      string          `json:"user"` // [Key.BrokerUser]
	UserSig   []byte          `json:"user_sig"`
	Site      string          `json:"site"`
	Area      playlist.Area   `json:"area,omitempty"` // of the site; release 0.1 does not say it
	Areas     []playlist.Area `json:"areas"`          // of the outputs
	Outputs   int             `json:"outputs"`
	Residents int             `json:"residents"`       // in earshot of all outputs
	Zones     []Zone          `json:"zones,omitempty"` // the outputs; release 0.1 does not say them
	Program   string          `json:"program"`         // its version
}

// Zone is an output as a controller names it when it enrols.
type Zone struct {
	Name      string        `json:"name"`
	Area      playlist.Area `json:"area"`
	Residents int           `json:"residents"`
}

// MaxZones is how many zones a controller names.
const MaxZones = 64

// The states of an enrolment.
const (
	EnrolPending = "pending"
	EnrolGranted = "granted"
	EnrolRefused = "refused"
)

// Decision is what the county decided about an enrolment.
type Decision struct {
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"` // of a refusal, for people
	Trust  []byte `json:"trust,omitempty"`  // the envelopes, once granted
	Member []byte `json:"member,omitempty"`
}

// EnrolStore keeps the county's enrolments.
type EnrolStore interface {
	// EnrolCode returns a code, or [ErrCode].
	EnrolCode(ctx context.Context, id string) (Code, error)

	// Enrol records a request that was made with a code, in one transaction, and
	// returns the county's decision so far. A code belongs to the first key that
	// uses it: for another key Enrol returns [ErrCodeUsed], and for a first key
	// after the expiry [ErrCode]. The same key may ask any number of times, after
	// the expiry too.
	Enrol(ctx context.Context, code Code, now time.Time, r EnrolRequest) (Decision, error)
}

type enrolQuestion struct {
	Code    string `json:"code"`
	Nonce   []byte `json:"nonce,omitempty"`
	Request []byte `json:"request,omitempty"` // an [EnrolRequest]
	Sig     []byte `json:"sig,omitempty"`
	Proof   []byte `json:"proof,omitempty"`
}

type enrolAnswer struct {
	Nonce    []byte `json:"nonce,omitempty"`
	Decision []byte `json:"decision,omitempty"` // a [Decision]
	Proof    []byte `json:"proof,omitempty"`
}

// statement returns the bytes that are signed or authenticated: the name of the
// statement and the parts, each with its length before it.
func statement(what string, parts ...[]byte) []byte {
	b := []byte("dalaba enrol " + what)
	for _, p := range parts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}

// prove returns the HMAC of a statement under the code's secret.
func (c Code) prove(what string, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, c.Secret)
	m.Write(statement(what, parts...))
	return m.Sum(nil)
}

// nonce makes a nonce that the county need not store: it holds the time and an HMAC
// under the code's secret. It is valid for nonceLife.
func (c Code) nonce(now time.Time) []byte {
	b := make([]byte, 24)
	binary.BigEndian.PutUint64(b, uint64(now.Unix()))
	_, _ = rand.Read(b[8:])
	return append(b, c.prove("nonce", b)...)
}

// validNonce reports whether [Code.nonce] made the nonce no more than nonceLife ago.
func (c Code) validNonce(nonce []byte, now time.Time) bool {
	if len(nonce) != 24+sha256.Size || !hmac.Equal(nonce[24:], c.prove("nonce", nonce[:24])) {
		return false
	}
	age := now.Sub(time.Unix(int64(binary.BigEndian.Uint64(nonce)), 0))
	return age > -nonceLife && age < nonceLife
}

// EnrolHandler serves POST /enrol. It responds with 429 and Retry-After if an
// address has made too many failed requests, or all addresses together too many
// requests.
type EnrolHandler struct {
	Store EnrolStore
	Log   *slog.Logger
	Now   func() time.Time // default time.Now

	gate     gate
	refusals Tally
}

func (h *EnrolHandler) now() time.Time {
	if h.Now == nil {
		return time.Now()
	}
	return h.Now()
}

func (h *EnrolHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "POST", http.StatusMethodNotAllowed)
		return
	}
	from := Source(r.RemoteAddr)
	if wait := h.gate.admit(from, h.now()); wait > 0 {
		h.refusals.Warn(h.Log, "", "too many enrolment requests, some rejected", nil, "from", r.RemoteAddr)
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		http.Error(w, "too often", http.StatusTooManyRequests)
		return
	}
	var q enrolQuestion
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEnrolBody))
	if err == nil {
		err = decodeStrict(body, &q)
	}
	if err != nil {
		http.Error(w, "not an enrolment", http.StatusBadRequest)
		return
	}
	a, err := h.respond(r.Context(), q)
	if err != nil {
		h.refusals.Warn(h.Log, from.String(), "enrolment refused", err, "from", r.RemoteAddr)
		// The client learns that it was refused, but not why.
		status := http.StatusForbidden
		for _, ours := range []error{ErrCode, ErrCodeUsed, ErrProof, ErrSignature, ErrMalformed, ErrTruncated, playlist.ErrInvalid} {
			if errors.Is(err, ours) {
				http.Error(w, "no", status)
				return
			}
		}
		h.gate.refund(from, h.now()) // the county's fault, not the client's
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	h.gate.refund(from, h.now())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(a) // if this fails, the controller asks again
}

// respond handles one request: it returns a nonce, or verifies the request and
// returns the decision.
func (h *EnrolHandler) respond(ctx context.Context, q enrolQuestion) (enrolAnswer, error) {
	now := h.now()
	if b, err := hex.DecodeString(q.Code); err != nil || len(b) != 16 {
		return enrolAnswer{}, ErrCode
	}
	code, err := h.Store.EnrolCode(ctx, q.Code)
	if err != nil {
		return enrolAnswer{}, err
	}
	if len(q.Request) == 0 {
		return enrolAnswer{Nonce: code.nonce(now)}, nil
	}
	if !code.validNonce(q.Nonce, now) || !hmac.Equal(q.Proof, code.prove("request", q.Nonce, q.Request, q.Sig)) {
		return enrolAnswer{}, ErrProof
	}
	var r EnrolRequest
	if err := decodeLenient(q.Request, &r); err != nil {
		return enrolAnswer{}, err
	}
	if !r.Key.Verify(statement("key", q.Nonce, q.Request), q.Sig) {
		return enrolAnswer{}, fmt.Errorf("%w: the controller's key", ErrSignature)
	}
	// The login key must belong to the controller too. Otherwise a controller could
	// enrol with the login key of another.
	user, err := nkeys.FromPublicKey(r.User)
	if err != nil || user.Verify(statement("user", []byte(r.Key.String())), r.UserSig) != nil || !nkeys.IsValidPublicUserKey(r.User) {
		return enrolAnswer{}, fmt.Errorf("%w: the controller's login key", ErrSignature)
	}
	if err := r.check(); err != nil {
		return enrolAnswer{}, err
	}
	d, err := h.Store.Enrol(ctx, code, now, r)
	if err != nil {
		return enrolAnswer{}, err
	}
	h.Log.Info("enrolment requested", "site", r.Site, "key", r.Key.Fingerprint(), "state", d.State)
	text, err := json.Marshal(d)
	return enrolAnswer{Decision: text, Proof: code.prove("answer", q.Nonce, text)}, err
}

func (r EnrolRequest) check() error {
	if len(r.Site) > 200 || len(r.Program) > 100 || len(r.Areas) > playlist.MaxAreas || r.Outputs < 0 || r.Residents < 0 || len(r.Zones) > MaxZones {
		return malformed(errors.New("beyond its bounds"))
	}
	areas := slices.Clone(r.Areas)
	if r.Area != "" {
		areas = append(areas, r.Area)
	}
	for _, z := range r.Zones {
		if z.Name == "" || len(z.Name) > 200 || z.Residents < 0 {
			return malformed(errors.New("an output is beyond its bounds"))
		}
		areas = append(areas, z.Area)
	}
	for _, a := range areas {
		if _, err := playlist.ParseArea(string(a)); err != nil {
			return err
		}
	}
	return nil
}

// Enrolment is what a controller needs to enrol: the county's address, the code, its
// key, and what it tells the county about itself.
type Enrolment struct {
	URL  string // of the county; "/enrol" is appended
	Code string
	Key  *Key
	Self EnrolRequest // Key, User and UserSig are filled in

	// Client defaults to one that accepts any certificate: the county's is usually
	// self-signed, and the county proves by the code who it is.
	Client *http.Client

	Poll    time.Duration // how often to ask while the enrolment is pending; default 5 s
	Pending func()        // called once, if a person at the county has to approve

	// Busy is called each time that the county responds that it gets too many
	// requests, with how long Enrol waits before the next one.
	Busy func(wait time.Duration)
}

// busyError says that the county gets too many requests, and how long to wait.
type busyError struct {
	fault
	wait time.Duration
}

// maxBusy is the longest time that a controller waits because the county is busy.
const maxBusy = 5 * time.Minute

func newBusy(retryAfter string) busyError {
	s, err := strconv.Atoi(retryAfter)
	if err != nil || s < 1 {
		s = 1
	}
	wait := min(time.Duration(s)*time.Second, maxBusy)
	return busyError{fault{ErrBusy, say.M("link.enrol_busy", wait)}, wait}
}

// Enrolled is the result of an enrolment; see [ControllerStore.Adopt].
type Enrolled struct{ Trust, Member Document }

// Enrol asks the county until it has decided or ctx ends. It also asks again if the
// network fails or the county is busy. If ctx ends, the error is [ErrPending] if the
// last response was "pending", and [ErrBusy] if the county was busy; a later call
// continues the same enrolment. Other errors are [ErrCode], [ErrProof] if the
// server that responds does not know the code, and [ErrRefused].
func Enrol(ctx context.Context, o Enrolment) (Enrolled, error) {
	code, err := ParseCode(o.Code)
	if err != nil {
		return Enrolled{}, err
	}
	if o.Client == nil {
		o.Client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment,
			// We send nothing secret, and the response proves that it comes from the
			// county.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
		}}
	}
	if o.Poll == 0 {
		o.Poll = enrolPoll
	}
	o.Self.Key, o.Self.User = o.Key.Public(), o.Key.BrokerUser()
	if o.Self.UserSig, err = o.Key.brokerKey().Sign(statement("user", []byte(o.Self.Key.String()))); err != nil {
		return Enrolled{}, err
	}
	var last error
	for told := false; ; {
		d, err := o.enrolOnce(ctx, code)
		wait := o.Poll
		var full busyError
		switch {
		case err == nil && d.State == EnrolGranted:
			return o.verifyGrant(d)
		case err == nil && d.State == EnrolRefused:
			return Enrolled{}, fault{ErrRefused, say.M("link.enrol_refused", d.Reason)}
		case err == nil:
			last = fault{ErrPending, say.M("link.enrol_pending")}
			if !told && o.Pending != nil {
				o.Pending()
			}
			told = true
		case errors.Is(err, ErrCode), errors.Is(err, ErrProof), errors.Is(err, ErrMalformed):
			return Enrolled{}, err
		case errors.As(err, &full):
			last, wait = err, full.wait
			if o.Busy != nil {
				o.Busy(wait)
			}
		default:
			last = err
		}
		select {
		case <-ctx.Done():
			return Enrolled{}, errors.Join(last, ctx.Err())
		case <-time.After(wait):
		}
	}
}

// enrolOnce asks for a nonce and sends one enrolment request.
func (o Enrolment) enrolOnce(ctx context.Context, code Code) (Decision, error) {
	var d Decision
	a, err := o.post(ctx, enrolQuestion{Code: code.ID})
	if err != nil {
		return d, err
	}
	q := enrolQuestion{Code: code.ID, Nonce: a.Nonce}
	if q.Request, err = json.Marshal(o.Self); err != nil {
		return d, err
	}
	if q.Sig, err = o.Key.Sign(statement("key", q.Nonce, q.Request)); err != nil {
		return d, err
	}
	q.Proof = code.prove("request", q.Nonce, q.Request, q.Sig)
	if a, err = o.post(ctx, q); err != nil {
		return d, err
	}
	if !hmac.Equal(a.Proof, code.prove("answer", q.Nonce, a.Decision)) {
		return d, fault{ErrProof, say.M("link.proof")}
	}
	return d, decodeLenient(a.Decision, &d)
}

func (o Enrolment) post(ctx context.Context, q enrolQuestion) (a enrolAnswer, err error) {
	text, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(o.URL, "/")+"/enrol", bytes.NewReader(text))
	if err != nil {
		return a, err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := o.Client.Do(r)
	if err != nil {
		return a, err
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusForbidden:
		return a, fault{ErrCode, say.M("link.code")}
	case http.StatusTooManyRequests:
		return a, newBusy(resp.Header.Get("Retry-After"))
	default:
		return a, fmt.Errorf("%s: %s", r.URL, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxGrantBody))
	if err != nil {
		return a, err
	}
	return a, decodeLenient(body, &a)
}

// verifyGrant reads the documents of a granted enrolment. It pins the root keys of
// the trust document, which it accepts without an older one, and verifies the member
// document against it.
func (o Enrolment) verifyGrant(d Decision) (e Enrolled, err error) {
	env, err := ParseEnvelope(d.Trust)
	if err != nil {
		return e, err
	}
	t, err := acceptTrust(env, nil)
	if err != nil {
		return e, err
	}
	e.Trust = Document{Have: Have{Kind: KindTrust, Version: t.Version, Digest: env.Digest()}, Issued: t.Issued, Raw: d.Trust, Trust: &t}
	if e.Member, err = Open(d.Member, t); err == nil && e.Member.Kind != KindMember {
		err = fault{ErrWrongType, say.M("link.wrong_type", string(e.Member.Kind))}
	}
	return e, err
}
