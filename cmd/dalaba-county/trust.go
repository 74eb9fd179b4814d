package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/county/store"
	"dalaba/data"
	"dalaba/data/secret"
	"dalaba/link"
	"dalaba/playlist/say"
)

// keysCmd makes keys on a machine that needs neither a server nor a config.
func (a *app) keysCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use: "keys " + a.Say("county.use_keys"), Short: a.Say("county.keys_short"), Long: a.Say("county.keys_long"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Refuse(sayM("county.need_keys"))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			all := []county.MadeKey{}
			for _, path := range args {
				k, err := county.MakeKey(path)
				if err != nil {
					return unread(path, err)
				}
				a.exposed(path)
				all = append(all, k)
				if !a.JSON {
					key := "county.key_there"
					if k.Made {
						key = "county.key_made"
					}
					a.Println(a.Say(key, k.Private, k.Public, k.Fingerprint))
				}
			}
			if a.JSON {
				return a.show(all)
			}
			return nil
		},
	})
}

// exposed warns of a private key on a disk that keeps no modes.
func (a *app) exposed(path string) {
	if err := secret.Warning(path); err != nil {
		a.Remark(say.In(a.Language(), err))
	}
}

func (a *app) trustCmd() *cobra.Command {
	c := &cobra.Command{Use: "trust", Short: a.Say("county.trust_short"), Long: a.Say("county.trust_long")}
	c.AddCommand(a.trustDraftCmd(), a.trustShowCmd(), a.trustAddCmd())
	return c
}

// trustRoles are the roles whose keys `trust draft` exchanges.
var trustRoles = []link.Role{link.RoleRoot, link.RolePlaylist, link.RoleAlert, link.RoleFleet, link.RoleEdge}

// trustDraftCmd writes the trust document that the holders of the root keys are to sign.
func (a *app) trustDraftCmd() *cobra.Command {
	files := make([][]string, len(trustRoles))
	var out string
	c := &cobra.Command{
		Use: "draft", Short: a.Say("county.draft_short"), Long: a.Say("county.draft_long"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			keys := map[link.Role][]link.PublicKey{}
			for i, role := range trustRoles {
				for _, path := range files[i] {
					k, err := county.ReadPublic(path)
					if err != nil {
						return cli.Refuse(unread(path, err))
					}
					keys[role] = append(keys[role], k)
				}
			}
			return a.draftTrust(c.Context(), keys, out)
		},
	}
	for i, role := range trustRoles {
		c.Flags().StringSliceVar(&files[i], string(role), nil, a.Say("county.flag_public_"+string(role)))
	}
	c.Flags().StringVar(&out, "out", "trust.json", a.Say("county.flag_draft_out"))
	return c
}

func (a *app) draftTrust(ctx context.Context, keys map[link.Role][]link.PublicKey, out string) error {
	held, s, err := a.trustInForce(ctx)
	if err != nil {
		return err
	}
	var raw []byte
	if held == nil {
		raw, err = county.DraftFirst(keysDir(s), keys, time.Now())
	} else {
		raw, err = county.DraftTrust(*held, keys, time.Now())
	}
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(out, raw, 0o644); err != nil {
		return err
	}
	if err := a.preview(raw); err != nil {
		return err
	}
	a.Println(a.Say("county.drafted", out, out, out))
	return nil
}

// trustInForce returns the trust document in force, and the settings if the county is on
// this machine. A nil document: the county has not begun.
func (a *app) trustInForce(ctx context.Context) (held *link.Trust, s *settings, err error) {
	s, err = a.atRest(ctx, func(s *settings, st *store.Store) (err error) {
		held, err = county.Trust(ctx, st)
		return err
	})
	if !errors.Is(err, data.ErrLocked) {
		return held, s, err
	}
	k, err := a.ask()
	if err != nil {
		return nil, s, err
	}
	var docs []county.Held
	if err := k.get(ctx, "/api/documents", nil, &docs); err != nil {
		return nil, s, err
	}
	for _, d := range docs {
		if d.Kind != link.KindTrust || held != nil && d.Version < held.Version {
			continue
		}
		t, err := link.AcceptTrust(d.Raw, nil)
		if err != nil {
			return nil, s, err
		}
		held = &t
	}
	return held, s, nil
}

// atRest opens the store of a county of this machine that does not run. If it runs, or is
// elsewhere, the error is [data.ErrLocked].
func (a *app) atRest(ctx context.Context, do func(*settings, *store.Store) error) (s *settings, err error) {
	if a.server != "" {
		return nil, data.ErrLocked
	}
	if s, err = a.load(); err != nil {
		return nil, err
	}
	if data.Hidden(s.County.DataDir) {
		return s, sayM("county.hidden")
	}
	held, err := data.Lock(s.County.DataDir)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	log := slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	data.MakePrivate(s.County.DataDir).Tell(log, s.County.DataDir)
	st, err := store.Open(ctx, store.Options{Dir: s.County.DataDir, URL: s.County.Store, Zone: s.zone, Log: log})
	if err != nil {
		return s, err
	}
	return s, errors.Join(do(s, st), st.Close())
}

// trustShowCmd shows what a file says that is to be signed. It needs no server.
func (a *app) trustShowCmd() *cobra.Command {
	return &cobra.Command{
		Use: "show " + a.Say("county.use_file"), Short: a.Say("county.show_short"), Args: a.oneArg("file"),
		RunE: func(_ *cobra.Command, args []string) error {
			raw, err := readEnvelope(args[0])
			if err != nil {
				return err
			}
			return a.preview(raw)
		},
	}
}

// preview shows what a document says, to who is to sign it, and what signatures it lacks.
func (a *app) preview(raw []byte) error {
	e, d, err := link.Preview(raw)
	if err != nil {
		return err
	}
	issued := d.Issued.Local().Format(time.DateTime)
	switch {
	case d.Manifest != nil:
		a.Println(a.Say("county.preview_manifest", string(d.Scope), d.Version, issued, len(d.Manifest.Slots), len(d.Manifest.Clips)))
		if at := d.Manifest.NotBefore; !at.IsZero() {
			a.Println(a.Say("county.from_day", at.Local().Format("2006-01-02 15:04")))
		}
		for _, c := range county.Contents(*d.Manifest) {
			a.change(c)
		}
	case d.Trust != nil:
		a.Println(a.Say("county.preview_trust", d.Version, issued))
		t := a.NewTable(cli.Key(a.Say("county.head_role")), cli.Message(a.Say("county.head_fingerprint")))
		for _, k := range county.TrustedKeys(*d.Trust) {
			t.Add(string(k.Role), k.Fingerprint)
		}
		a.Println(t.Page())
		a.Println(a.Say("county.status_key", d.Trust.Fingerprint()))
		n, needed := d.Trust.Signatures(e, link.RoleRoot)
		a.Println(a.Say("county.preview_signed", n, needed))
	default:
		a.Println(a.Say("county.preview_other", d.Kind.Words(), string(d.Scope), d.Version))
	}
	return nil
}

// readEnvelope reads a file that is to be signed or handed in.
func readEnvelope(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cli.Refuse(sayM("county.no_file", path, err))
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, link.MaxEnvelope+1)) // who reads it says that it is too large
	if err != nil {
		return nil, cli.Refuse(sayM("county.no_file", path, err))
	}
	return raw, nil
}

// trustAddCmd hands in a trust document that was signed elsewhere.
func (a *app) trustAddCmd() *cobra.Command {
	return &cobra.Command{
		Use: "add " + a.Say("county.use_file"), Short: a.Say("county.add_trust_short"), Long: a.Say("county.add_trust_long"), Args: a.oneArg("file"),
		RunE: func(c *cobra.Command, args []string) error {
			raw, err := readEnvelope(args[0])
			if err != nil {
				return err
			}
			_, d, err := link.Preview(raw)
			if err == nil && d.Trust == nil {
				err = sayM("county.no_trust_document", args[0])
			}
			if err != nil {
				return cli.Refuse(err)
			}
			return a.addTrust(c.Context(), raw, d)
		},
	}
}

func (a *app) addTrust(ctx context.Context, raw []byte, d link.Document) error {
	_, err := a.atRest(ctx, func(s *settings, st *store.Store) error {
		return county.HandInTrust(ctx, st, keysDir(s), slog.New(slog.NewTextHandler(a.Err, nil)), raw)
	})
	key := "county.trust_added_rest"
	if errors.Is(err, data.ErrLocked) {
		key = "county.trust_added"
		var k *client
		if k, err = a.ask(); err == nil {
			err = k.post(ctx, "/api/trust", nil, raw, nil)
		}
	}
	if err != nil {
		return err
	}
	a.Println(a.Say(key, strconv.FormatInt(d.Version, 10), d.Trust.Fingerprint()))
	return nil
}
