package cli

import (
	"encoding/json"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker, to git's description of the source tree.
var version string

// Version returns the version that the program was built from.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	return "unknown"
}

// built is `dalaba version --json`.
type built struct {
	Program string `json:"program"`
	Version string `json:"version"`
}

// versionCmd says what --version says.
func (a *App) versionCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use:   "version",
		Short: a.Say("cli.flag_version"),
		RunE: func(*cobra.Command, []string) error {
			if a.JSON {
				return json.NewEncoder(a.Out).Encode(built{a.Name, Version()})
			}
			a.Println(a.Say("cli.version", a.Name, Version()))
			return nil
		},
	})
}
