package main

import (
	_ "embed"
	"encoding/json"
	"io"

	"github.com/spf13/cobra"
)

//go:embed dalaba.toml
var sampleConfig string

// sampleCmd prints the commented sample config.
func (a *app) sampleCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use:   "sample",
		Short: a.Say("run.sample_short"),
		RunE: func(*cobra.Command, []string) error {
			if a.JSON {
				return json.NewEncoder(a.Out).Encode(map[string]string{"config": sampleConfig})
			}
			_, err := io.WriteString(a.Out, sampleConfig)
			return err
		},
	})
}
