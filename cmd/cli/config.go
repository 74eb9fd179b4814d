package cli

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"dalaba/data"
	"dalaba/data/secret"
	"dalaba/playlist/say"
)

// Config is the config file of a program.
type Config struct {
	Path    string // as -c names it
	Default string // without -c

	passed error // why the file in the working folder is not the default
}

// Flag adds the flag -c to a command. Without it, the program uses the file here, in the
// working folder, or else that of the system.
func (c *Config) Flag(to *cobra.Command, here, system, usage string) {
	c.Default, c.passed = defaultConfig(here, system)
	to.PersistentFlags().StringVarP(&c.Path, "config", "c", c.Default, usage)
}

// Passed returns why a file in the working folder is not used, the first time that it is
// called; nil if there is none, or if -c names another file.
func (c *Config) Passed() (why error) {
	if c.Path == c.Default {
		why, c.passed = c.passed, nil
	}
	return why
}

// defaultConfig returns the config file that a program uses if it is told of none. A
// config names programs that are run, so a file here is passed over if a user other than
// this one and root could have written it; passed then says why. Who called by sudo is
// another, too: sudo may allow that user one verb, and nothing else that is root's.
func defaultConfig(here, system string) (path string, passed error) {
	if _, err := os.Lstat(here); err != nil {
		return system, nil
	}
	way, err := secret.Way(here)
	if err != nil {
		return system, say.M("cli.config_passed_broken", here, err)
	}
	for _, e := range way {
		if err := cmp.Or(ownFile(here, e.Path), ownFile(here, e.Folder)); err != nil {
			return system, err
		}
	}
	return here, nil
}

// ownFile returns why the config here is not safe to use, by a file or folder on the way
// to it: nil if only this user and root can have written that.
func ownFile(here, at string) error {
	info, err := os.Lstat(at)
	if err != nil {
		return say.M("cli.config_passed_broken", here, err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	mine := ok && secret.Own(st.Uid)
	// In a folder with the sticky bit, such as /tmp, others cannot replace a file.
	open := secret.Open(info) && (!info.IsDir() || info.Mode()&fs.ModeSticky == 0)
	if full, err := filepath.Abs(at); err == nil && info.IsDir() {
		at = full
	}
	switch {
	case !mine && info.IsDir():
		return say.M("cli.config_passed_folder", here, at, data.UserName(st.Uid))
	case !mine:
		return say.M("cli.config_passed_owner", here, data.UserName(st.Uid))
	case open:
		return say.M("cli.config_passed_open", here, at)
	}
	return nil
}
