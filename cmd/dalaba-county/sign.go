package main

import (
	"context"
	"os"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/county/store"
	"dalaba/link"
)

// publishSigned hands in what was signed elsewhere.
func (a *app) publishSigned(ctx context.Context, k *client, path string, wait time.Duration) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return cli.Refuse(sayM("county.no_file", path, err))
	}
	var e store.Envelope
	if err := k.post(ctx, "/api/publish", nil, raw, &e); err != nil {
		return err
	}
	if !a.JSON {
		a.Println(a.Say("county.issued", string(e.Scope), e.Version))
	}
	return a.follow(ctx, k, pushed{Issued: []store.Envelope{e}}, wait)
}

// signCmd signs an envelope with a key that lies here. It needs no server.
func (a *app) signCmd() *cobra.Command {
	var key, out string
	c := &cobra.Command{
		Use: "sign " + a.Say("county.use_file"), Short: a.Say("county.sign_short"), Long: a.Say("county.sign_long"), Args: a.oneArg("file"),
		RunE: func(_ *cobra.Command, args []string) error {
			if key == "" {
				return cli.Refuse(sayM("county.need_key"))
			}
			signer, err := link.ReadKey(key)
			if err != nil {
				return err
			}
			raw, err := os.ReadFile(args[0])
			if err != nil {
				return cli.Refuse(sayM("county.no_file", args[0], err))
			}
			env, err := unsignedEnvelope(raw)
			if err != nil {
				return err
			}
			if err := env.Sign(signer); err != nil {
				return err
			}
			to := orElse(out, args[0])
			if err := renameio.WriteFile(to, env.Bytes(), 0o644); err != nil {
				return err
			}
			a.Println(a.Say("county.signed", to, signer.Public().Fingerprint(), len(env.Signatures)))
			return nil
		},
	}
	c.Flags().StringVar(&key, "key", "", a.Say("county.flag_key"))
	c.Flags().StringVar(&out, "out", "", a.Say("county.flag_out"))
	return c
}
