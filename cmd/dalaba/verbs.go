package main

import "github.com/spf13/cobra"

// verbs are all of the program's, in the order in which help lists them: the
// operator's, those that look, the technician's, the newcomer's.
func (a *app) verbs() []*cobra.Command {
	return []*cobra.Command{
		a.runCmd(),
		a.checkCmd(),
		a.reloadCmd(),
		a.importCmd(),
		a.clipsCmd(),
		a.enrolCmd(),
		a.alertCmd(),
		a.micCmd(),
		a.statusCmd(),
		a.planCmd(),
		a.whyCmd(),
		a.asrunCmd(),
		a.reachCmd(),
		a.logCmd(),
		a.devicesCmd(),
		a.toneCmd(),
		a.playCmd(),
		a.doctorCmd(),
		a.demoCmd(),
		a.sampleCmd(),
	}
}
