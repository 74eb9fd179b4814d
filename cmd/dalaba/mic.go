package main

import (
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"dalaba/controller/hand"
	"dalaba/playlist"
)

// micCmd opens the emergency microphone until it is interrupted.
func (a *app) micCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use:   "mic",
		Short: a.Say("alerts.mic_short"),
		Long:  a.Say("alerts.mic_long"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.mic(c.Context()) },
	})
}

func (a *app) mic(ctx context.Context) error {
	daemon, err := a.ask(ctx)
	if err != nil {
		return err
	}
	told := a.JSON
	r, err := daemon.SpeakLive(ctx, func(hand.Report) {
		if !told {
			told = true
			a.Println(a.Say("alerts.mic_opens"))
		}
	})
	if err != nil {
		return err
	}
	if a.JSON {
		return json.NewEncoder(a.Out).Encode(map[string]any{"frames": r.Frames, "started": r.Started})
	}
	a.Println(a.Say("alerts.mic_closed", playlist.Length(r.Frames).Seconds()))
	return nil
}
