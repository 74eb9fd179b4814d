package main

import (
	"context"
	"net/url"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/county/store"
	"dalaba/link"
)

// publishSigned shows what was signed elsewhere, asks, and hands it in.
func (a *app) publishSigned(ctx context.Context, k *client, path string, o issueFlags) error {
	raw, err := readEnvelope(path)
	if err != nil {
		return err
	}
	var p county.Proposal
	if err := k.post(ctx, "/api/publish", url.Values{"dry": {"1"}}, raw, &p); err != nil {
		return err
	}
	if !a.JSON {
		a.proposal(k, p)
	}
	o.unsigned = ""
	q := url.Values{}
	if o.anyway {
		q.Set("anyway", "1")
	}
	return a.issue(ctx, k, pushed{Proposals: []county.Proposal{p}}, o, func(int) (e store.Envelope, err error) {
		return e, k.post(ctx, "/api/publish", q, raw, &e)
	})
}

// signCmd signs an envelope with keys that lie here. It needs no server.
func (a *app) signCmd() *cobra.Command {
	var keys []string
	var out string
	c := &cobra.Command{
		Use: "sign " + a.Say("county.use_file"), Short: a.Say("county.sign_short"), Long: a.Say("county.sign_long"), Args: a.oneArg("file"),
		RunE: func(_ *cobra.Command, args []string) error { return a.sign(args[0], orElse(out, args[0]), keys) },
	}
	c.Flags().StringSliceVar(&keys, "key", nil, a.Say("county.flag_key"))
	c.Flags().StringVar(&out, "out", "", a.Say("county.flag_out"))
	return c
}

// sign adds the signatures of keys to a document, after showing what it says.
func (a *app) sign(file, to string, keys []string) error {
	if len(keys) == 0 {
		return cli.Refuse(sayM("county.need_key"))
	}
	var signers []*link.Key
	for _, path := range keys {
		if _, err := county.ReadPublic(path); err == nil {
			return cli.Refuse(sayM("county.sign_public", path, strings.TrimSuffix(path, ".pub")+".key"))
		}
		k, err := link.ReadKey(path)
		if err != nil {
			return cli.Refuse(unread(path, err))
		}
		a.exposed(path)
		signers = append(signers, k)
	}
	raw, err := readEnvelope(file)
	if err != nil {
		return err
	}
	env, _, err := link.Preview(raw)
	if err != nil {
		return cli.Refuse(err)
	}
	for _, k := range signers {
		if err := env.Sign(k); err != nil {
			return err
		}
	}
	if err := a.preview(env.Bytes()); err != nil {
		return err
	}
	if err := renameio.WriteFile(to, env.Bytes(), 0o644); err != nil {
		return err
	}
	for _, k := range signers {
		a.Println(a.Say("county.signed", to, k.Public().Fingerprint(), len(env.Signatures)))
	}
	return nil
}
