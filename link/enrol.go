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
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nkeys"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// CodeLife is how long an enrolment code waits for its controller.
const CodeLife = 24 * time.Hour

const (
	nonceLife    = 5 * time.Minute
	maxEnrolBody = 64 << 10
	maxGrantBody = 2 << 20
	enrolPoll    = 5 * time.Second
)

// Code is a one-time enrolment code as the county keeps it. The code itself
// is told to a person and kept nowhere; both ends prove to each other that
// they know it, and neither says it.
type Code struct {
	ID      string // derived from the code; no secret
	Secret  []byte // derived from the code
	Expires time.Time
}

var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// NewCode makes a code of 128 bits and the text to tell a person: seven groups
// of four, the last two characters to catch slips.
func NewCode(now time.Time) (text string, c Code) {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // it never fails
	text = crockford.EncodeToString(raw) + slip(raw)
	c = deriveCode(raw)
	c.Expires = now.Add(CodeLife)
	return strings.ReplaceAll(grouped(text), " ", "-"), c
}

func slip(raw []byte) string {
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

// ParseCode reads what a person typed: case, blanks and dashes do not matter,
// nor O for 0 and I or L for 1.
func ParseCode(text string) (Code, error) {
	s := strings.NewReplacer(" ", "", "-", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(text))
	wrong := fault{playlist.ErrInvalid, say.M("link.code_slip")}
	if len(s) != 28 {
		return Code{}, wrong
	}
	raw, err := crockford.DecodeString(s[:26])
	if err != nil || crockford.EncodeToString(raw)+slip(raw) != s {
		return Code{}, wrong
	}
	return deriveCode(raw), nil
}

// EnrolRequest is what a controller says of itself.
type EnrolRequest struct {
	Key       PublicKey       `json:"key"`
	User      string          `json:"user"` // [Key.BrokerUser]
	UserSig   []byte          `json:"user_sig"`
	Site      string          `json:"site"`
	Areas     []playlist.Area `json:"areas"`
	Outputs   int             `json:"outputs"`
	Residents int             `json:"residents"` // in earshot of all outputs
	Program   string          `json:"program"`   // its version
}

// The states of an enrolment.
const (
	EnrolPending = "pending"
	EnrolGranted = "granted"
	EnrolRefused = "refused"
)

// Decision is what a county answers.
type Decision struct {
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"` // of a refusal, for people
	Trust  []byte `json:"trust,omitempty"`  // the envelopes, once granted
	Member []byte `json:"member,omitempty"`
}

// EnrolStore is what the county remembers of enrolments.
type EnrolStore interface {
	// EnrolCode finds a code, else [ErrCode].
	EnrolCode(ctx context.Context, id string) (Code, error)

	// Enrol notes who came with a code, in one transaction, and answers how
	// that stands. The first key to come with a code has it: another is
	// [ErrCodeUsed], and one that never came before its expiry [ErrCode]. The
	// same key may ask as often as it likes, and after the expiry too.
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

// statement is what is signed and proven: the parts, each with its length.
func statement(what string, parts ...[]byte) []byte {
	b := []byte("dalaba enrol " + what)
	for _, p := range parts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}

func (c Code) prove(what string, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, c.Secret)
	m.Write(statement(what, parts...))
	return m.Sum(nil)
}

// nonce needs no memory: it holds its time and a seal that only this code's
// county can make. It is good for some minutes.
func (c Code) nonce(now time.Time) []byte {
	b := make([]byte, 24)
	binary.BigEndian.PutUint64(b, uint64(now.Unix()))
	_, _ = rand.Read(b[8:])
	return append(b, c.prove("nonce", b)...)
}

func (c Code) fresh(nonce []byte, now time.Time) bool {
	if len(nonce) != 24+sha256.Size || !hmac.Equal(nonce[24:], c.prove("nonce", nonce[:24])) {
		return false
	}
	age := now.Sub(time.Unix(int64(binary.BigEndian.Uint64(nonce)), 0))
	return age > -nonceLife && age < nonceLife
}

// EnrolHandler answers POST /enrol. An address that asks wrongly too often, or
// a county that is asked too often by all, answers 429 with Retry-After.
type EnrolHandler struct {
	Store EnrolStore
	Log   *slog.Logger
	Now   func() time.Time // default time.Now

	gate gate
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
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEnrolBody))
	from := source(r.RemoteAddr)
	if wait, first := h.gate.enter(from, h.now()); wait > 0 {
		if first {
			h.Log.Warn("too many enrolment requests, some rejected", "from", r.RemoteAddr)
		}
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		http.Error(w, "too often", http.StatusTooManyRequests)
		return
	}
	var q enrolQuestion
	if err == nil {
		err = strict(body, &q)
	}
	if err != nil {
		http.Error(w, "not an enrolment", http.StatusBadRequest)
		return
	}
	a, err := h.answer(r.Context(), q)
	if err != nil {
		h.Log.Warn("enrolment refused", "from", r.RemoteAddr, "err", err)
		// Whoever does not know the code learns no more than that.
		status := http.StatusForbidden
		for _, ours := range []error{ErrCode, ErrCodeUsed, ErrProof, ErrSignature, ErrMalformed, ErrTruncated, playlist.ErrInvalid} {
			if errors.Is(err, ours) {
				http.Error(w, "no", status)
				return
			}
		}
		h.gate.right(from, h.now()) // the fault is ours
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	h.gate.right(from, h.now())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(a) // the controller asks again
}

func (h *EnrolHandler) answer(ctx context.Context, q enrolQuestion) (enrolAnswer, error) {
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
	if !code.fresh(q.Nonce, now) || !hmac.Equal(q.Proof, code.prove("request", q.Nonce, q.Request, q.Sig)) {
		return enrolAnswer{}, ErrProof
	}
	var r EnrolRequest
	if err := lenient(q.Request, &r); err != nil {
		return enrolAnswer{}, err
	}
	if !r.Key.Verify(statement("key", q.Nonce, q.Request), q.Sig) {
		return enrolAnswer{}, fmt.Errorf("%w: the controller's key", ErrSignature)
	}
	// The login key must be the controller's too, or another's login could be
	// tied to its name.
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
	if len(r.Site) > 200 || len(r.Program) > 100 || len(r.Areas) > 16 || r.Outputs < 0 || r.Residents < 0 {
		return malformed(errors.New("beyond its bounds"))
	}
	for _, a := range r.Areas {
		if _, err := playlist.ParseArea(string(a)); err != nil {
			return err
		}
	}
	return nil
}

// Enrolment is what a controller needs to enrol: the county's address, the
// code it was told, its key, and what it says of itself.
type Enrolment struct {
	URL  string // of the county; "/enrol" is appended
	Code string
	Key  *Key
	Self EnrolRequest // Key, User and UserSig are filled in

	// Client defaults to one that accepts any certificate: the county's is
	// usually its own, and it proves itself by the code.
	Client *http.Client

	Poll    time.Duration // while it is pending; default 5 s
	Pending func()        // told once, where somebody has to approve

	// Busy is told each time that the county is asked too often and how long
	// it will be left alone for that.
	Busy func(wait time.Duration)
}

// busy is the county's word that it is asked too often.
type busy struct {
	fault
	wait time.Duration
}

// maxBusy is the longest that a county may have a controller wait.
const maxBusy = 5 * time.Minute

func newBusy(retryAfter string) busy {
	s, err := strconv.Atoi(retryAfter)
	if err != nil || s < 1 {
		s = 1
	}
	wait := min(time.Duration(s)*time.Second, maxBusy)
	return busy{fault{ErrBusy, say.M("link.enrol_busy", wait)}, wait}
}

// Enrolled is what came of it.
type Enrolled struct{ Trust, Member Document }

// Enrol asks until the county has decided or ctx ends; then it answers
// [ErrPending] if it was pending, and asking again goes on with it. A
// network that fails is asked again too, and so is a county that is asked too
// often, [ErrBusy] if that was the last. Other errors are [ErrCode],
// [ErrProof] for whoever answers without knowing the code, and [ErrRefused].
func Enrol(ctx context.Context, o Enrolment) (Enrolled, error) {
	code, err := ParseCode(o.Code)
	if err != nil {
		return Enrolled{}, err
	}
	if o.Client == nil {
		o.Client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment,
			// Nothing secret is said, and the answer proves where it comes from.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
		}}
	}
	if o.Poll == 0 {
		o.Poll = enrolPoll
	}
	o.Self.Key, o.Self.User = o.Key.Public(), o.Key.BrokerUser()
	if o.Self.UserSig, err = o.Key.broker().Sign(statement("user", []byte(o.Self.Key.String()))); err != nil {
		return Enrolled{}, err
	}
	var last error
	for told := false; ; {
		d, err := o.ask(ctx, code)
		wait := o.Poll
		var full busy
		switch {
		case err == nil && d.State == EnrolGranted:
			return o.open(d)
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

// ask goes through both steps once.
func (o Enrolment) ask(ctx context.Context, code Code) (Decision, error) {
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
	return d, lenient(a.Decision, &d)
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
	return a, lenient(body, &a)
}

// open reads what was granted: the root keys vouch for themselves, being
// pinned here and now; all else is checked by them.
func (o Enrolment) open(d Decision) (e Enrolled, err error) {
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

// Adopt keeps what enrolment gave. What another county's keys signed before
// is forgotten; what this one's did stays.
func Adopt(ctx context.Context, store ControllerStore, e Enrolled) error {
	lapsed, err := lapsed(ctx, store, *e.Trust.Trust)
	if err != nil {
		return err
	}
	e.Trust.Voids = lapsed
	if err := store.Keep(ctx, e.Trust); err != nil {
		return err
	}
	return store.Keep(ctx, e.Member)
}
