package cli

import (
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
// config names programs that are run, so a file here is passed over if another user
// could have written it; passed then says why.
func defaultConfig(here, system string) (path string, passed error) {
	if _, err := os.Lstat(here); err != nil {
		return system, nil
	}
	file, err := filepath.EvalSymlinks(here)
	if err != nil {
		return system, say.M("cli.config_passed_broken", here, err)
	}
	for _, at := range []string{here, file, "."} {
		if err := ownFile(here, at); err != nil {
			return system, err
		}
	}
	return here, nil
}

// ownFile returns why the config here is not safe to use, by its file or folder at that
// path: nil if only this user and root can have written it.
func ownFile(here, at string) error {
	fi, err := os.Lstat(at)
	if err != nil {
		return say.M("cli.config_passed_broken", here, err)
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	mine := ok && secret.Trusted(st.Uid)
	// In a folder with the sticky bit, such as /tmp, others cannot replace a file.
	open := fi.Mode()&fs.ModeSymlink == 0 && fi.Mode().Perm()&0o002 != 0 && fi.Mode()&fs.ModeSticky == 0
	switch {
	case !mine && at == ".":
		return say.M("cli.config_passed_folder", here, data.UserName(st.Uid))
	case !mine:
		return say.M("cli.config_passed_owner", here, data.UserName(st.Uid))
	case open:
		return say.M("cli.config_passed_open", here, at)
	}
	return nil
}
