package link

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"dalaba/data/secret"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// Authority makes the logins for a county's broker. With its keys one can log in
// to the broker as any user, but not make a controller sound anything: that takes
// the keys of a [Trust] document.
//
// The operator's own key is needed only to make a new account for the county; it
// can be kept elsewhere. See [Authority.Offline].
type Authority struct {
	Operator string `json:"operator"` // JWT
	System   string `json:"system"`   // account JWT
	Account  string `json:"account"`  // account JWT, with the revocations

	// Seeds of the keys.
	OperatorSeed string `json:"operator_seed,omitempty"`
	SigningSeed  string `json:"signing_seed"`    // of the operator: signs account JWTs
	SystemSeed   string `json:"system_seed"`     // of the system account
	AccountSeed  string `json:"account_seed"`    // signs pub and edge
	ScopedSeed   string `json:"controller_seed"` // signs controllers, and nothing else
}

// NewAuthority makes the operator, the accounts and the keys for a county.
func NewAuthority(county string) (*Authority, error) {
	var a Authority
	var err error
	pair := func(kind nkeys.PrefixByte, seed *string) (nkeys.KeyPair, string) {
		kp, perr := nkeys.CreatePair(kind)
		if perr != nil {
			err = errors.Join(err, perr)
			return nil, ""
		}
		text, serr := kp.Seed()
		public, perr := kp.PublicKey()
		err = errors.Join(err, serr, perr)
		*seed = string(text)
		return kp, public
	}
	operator, operatorID := pair(nkeys.PrefixByteOperator, &a.OperatorSeed)
	signing, signingID := pair(nkeys.PrefixByteOperator, &a.SigningSeed)
	_, systemID := pair(nkeys.PrefixByteAccount, &a.SystemSeed)
	_, accountID := pair(nkeys.PrefixByteAccount, &a.AccountSeed)
	_, scopedID := pair(nkeys.PrefixByteAccount, &a.ScopedSeed)
	if err != nil {
		return nil, err
	}
	oc := jwt.NewOperatorClaims(operatorID)
	oc.Name = county
	oc.SigningKeys.Add(signingID)
	oc.SystemAccount = systemID
	if a.Operator, err = oc.Encode(operator); err != nil {
		return nil, err
	}
	sc := jwt.NewAccountClaims(systemID)
	sc.Name = "SYS"
	if a.System, err = sc.Encode(signing); err != nil {
		return nil, err
	}
	ac := jwt.NewAccountClaims(accountID)
	ac.Name = county
	scope := jwt.NewUserScope()
	scope.Key, scope.Role = scopedID, "controller"
	scope.Template.Pub.Allow.Add(SyncSubject("{{name()}}"), ReceiptSubject("{{name()}}"))
	scope.Template.Sub.Allow.Add(InboxPrefix("{{name()}}")+".>", "st.{{tag(scope)}}.*")
	scope.Template.Subs = 128
	scope.Template.Payload = MaxMessage
	scope.Template.AllowedConnectionTypes.Add(jwt.ConnectionTypeStandard)
	ac.SigningKeys.AddScopedSigner(scope)
	if a.Account, err = ac.Encode(signing); err != nil {
		return nil, err
	}
	return &a, nil
}

// Offline returns the authority without the operator's own key, and that key.
func (a Authority) Offline() (Authority, string) {
	seed := a.OperatorSeed
	a.OperatorSeed = ""
	return a, seed
}

// WriteAuthority writes the authority to a file that only its owner may read. It
// replaces a file that exists.
func WriteAuthority(path string, a *Authority) error {
	text, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	return secret.Write(path, append(text, '\n'))
}

// ReadAuthority reads an authority that [WriteAuthority] wrote, as [secret.Read] does.
func ReadAuthority(path string) (*Authority, error) {
	text, err := secret.Read(path)
	if err != nil {
		return nil, err
	}
	var a Authority
	if err := decodeStrict(text, &a); err != nil {
		return nil, fmt.Errorf("%w: %w", fault{playlist.ErrInvalid, say.M("link.no_key", path)}, err)
	}
	return &a, nil
}

// Controller makes the login of a controller, a JWT. It is useless without the
// controller's key and valid until expires (zero: until revoked). user is the
// controller's [Key.BrokerUser]. Which subjects it may subscribe to follows from
// its areas and groups.
func (a *Authority) Controller(f playlist.Follower, user string, expires time.Time) (string, error) {
	if !playlist.IsToken(string(f.ID)) || !nkeys.IsValidPublicUserKey(user) {
		return "", fmt.Errorf("%w: controller %q, broker user %q", playlist.ErrInvalid, f.ID, user)
	}
	account, err := a.accountID()
	if err != nil {
		return "", err
	}
	uc := jwt.NewUserClaims(user)
	uc.SetScoped(true)
	uc.Name, uc.IssuerAccount = string(f.ID), account
	for _, s := range FollowedScopes(f) {
		uc.Tags = append(uc.Tags, "scope:"+scopeToken(s)) // not Add, which changes the case
	}
	if !expires.IsZero() {
		uc.Expires = expires.Unix()
	}
	return encode(uc, a.ScopedSeed)
}

// User returns the [Key.BrokerUser] whose login a member document holds, or "" if
// it holds none.
func (m Member) User() string {
	uc, err := jwt.DecodeUserClaims(m.JWT)
	if err != nil {
		return ""
	}
	return uc.Subject
}

// The users of the county's own programs.
const (
	UserPublisher = "pub"    // may publish st.> and nothing else
	UserEdge      = "edge"   // may subscribe to sync.* and rcpt.*, publish _IN.> and nothing else
	UserSystem    = "system" // changes accounts: [PushAccount]
)

// Creds makes credentials for one of the county's own programs: the text of
// a NATS creds file, a secret.
func (a *Authority) Creds(user string) ([]byte, error) {
	kp, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	id, err := kp.PublicKey()
	if err != nil {
		return nil, err
	}
	seed, err := kp.Seed()
	if err != nil {
		return nil, err
	}
	uc := jwt.NewUserClaims(id)
	uc.Name = user
	by := a.AccountSeed
	switch user {
	case UserPublisher:
		uc.Pub.Allow.Add("st.>")
		uc.Sub.Deny.Add(">")
	case UserEdge:
		uc.Pub.Allow.Add("_IN.>")
		// Without the queue's name the broker would also let it subscribe outside
		// the queue, and so receive every request.
		uc.Sub.Allow.Add(SyncSubject("*")+" edge", ReceiptSubject("*")+" edge")
	case UserSystem:
		by = a.SystemSeed
	default:
		return nil, fmt.Errorf("%w: user %q", playlist.ErrInvalid, user)
	}
	text, err := encode(uc, by)
	if err != nil {
		return nil, err
	}
	return jwt.FormatUserConfig(text, seed)
}

// Revoke revokes every login of these broker users that was made before now. The
// broker refuses them as soon as the changed account has been pushed by
// [PushAccount].
func (a *Authority) Revoke(now time.Time, users ...string) error {
	since := map[string]time.Time{}
	for _, u := range users {
		since[u] = now
	}
	return a.RevokeSince(since)
}

// RevokeSince is [Authority.Revoke] with an instant for each broker user. An
// instant that is not later than the one in the account changes nothing. If none
// changes anything, the account stays the same, byte for byte.
func (a *Authority) RevokeSince(since map[string]time.Time) error {
	ac, err := jwt.DecodeAccountClaims(a.Account)
	if err != nil {
		return err
	}
	changed := false
	for u, at := range since {
		if !nkeys.IsValidPublicUserKey(u) {
			return fmt.Errorf("%w: broker user %q", playlist.ErrInvalid, u)
		}
		if had, ok := ac.Revocations[u]; !ok || had < at.Unix() {
			ac.RevokeAt(u, at)
			changed = true
		}
	}
	if !changed {
		return nil
	}
	signing, err := nkeys.FromSeed([]byte(a.SigningSeed))
	if err != nil {
		return err
	}
	a.Account, err = ac.Encode(signing)
	return err
}

// Revoked returns the broker users whose logins are revoked. A login is revoked if
// it was made at or before the user's instant, which is in whole seconds.
func (a *Authority) Revoked() (map[string]time.Time, error) {
	ac, err := jwt.DecodeAccountClaims(a.Account)
	if err != nil {
		return nil, err
	}
	all := map[string]time.Time{}
	for u, at := range ac.Revocations {
		all[u] = time.Unix(at, 0).UTC()
	}
	return all, nil
}

func (a *Authority) accountID() (string, error) { return publicOf(a.AccountSeed) }

func publicOf(seed string) (string, error) {
	kp, err := nkeys.FromSeed([]byte(seed))
	if err != nil {
		return "", err
	}
	return kp.PublicKey()
}

func encode(uc *jwt.UserClaims, seed string) (string, error) {
	kp, err := nkeys.FromSeed([]byte(seed))
	if err != nil {
		return "", err
	}
	return uc.Encode(kp)
}

// PushAccount sends the account as it is now to the broker or the cluster of
// brokers, which disconnect the users that are revoked in it. The connection is
// that of the user [UserSystem].
func PushAccount(nc *nats.Conn, a *Authority, timeout time.Duration) error {
	m, err := nc.Request("$SYS.REQ.CLAIMS.UPDATE", []byte(a.Account), timeout)
	if err != nil {
		return err
	}
	var answer struct {
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return err
	}
	if answer.Error != nil {
		return fmt.Errorf("the broker refused the account: %s", answer.Error.Description)
	}
	return nil
}

// Broker is the configuration of a county's broker.
type Broker struct {
	Name string // of the server; unique in a cluster
	Host string // default 0.0.0.0
	Port int    // -1: any free port

	// Door says that a [Door] listens for it, which limits connections better than the
	// broker itself does.
	Door bool

	Cert, Key string // files, PEM
	Dir       string // the folder in which it keeps the accounts pushed to it

	Operator string // JWTs of the [Authority]
	System   string
	Account  string
}

// Config returns the text of a nats-server configuration, for the embedded server
// and for a separate one. It enables no JetStream, MQTT, WebSocket or leaf nodes,
// which the design forbids.
func (b Broker) Config() (string, error) {
	sys, err := jwt.DecodeAccountClaims(b.System)
	if err != nil {
		return "", err
	}
	acc, err := jwt.DecodeAccountClaims(b.Account)
	if err != nil {
		return "", err
	}
	host := b.Host
	if host == "" {
		host = "0.0.0.0"
	}
	for _, s := range []string{b.Name, host, b.Cert, b.Key, b.Dir} {
		if strings.ContainsAny(s, "\"\\\n") {
			return "", fmt.Errorf("%w: %q in the broker's config", playlist.ErrInvalid, s)
		}
	}
	// It is set in this text only: if it is set in code, the server panics. It counts
	// connections before they have said anything, so with it strangers keep
	// controllers out.
	limit := "connection_rate_limit: 400"
	if b.Door {
		limit = ""
	}
	return fmt.Sprintf(`server_name: "%s"
listen: "%s:%d"
tls {
  cert_file: "%s"
  key_file: "%s"
  min_version: "1.3"
  timeout: 30
  %s
}
authorization { timeout: 30 }
max_payload: %d
max_pending: %d
max_control_line: 8192
max_subscriptions: 128
write_deadline: "2m"
ping_interval: "1m"
ping_max: 3
operator: %s
system_account: %s
resolver: { type: full, dir: "%s", allow_delete: false, interval: "2m" }
resolver_preload: {
  %s: %s
  %s: %s
}
`, b.Name, host, b.Port, b.Cert, b.Key, limit, MaxMessage, 64<<20, b.Operator, sys.Subject, b.Dir,
		sys.Subject, b.System, acc.Subject, b.Account), nil
}
