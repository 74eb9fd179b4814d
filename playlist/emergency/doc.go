// Package emergency says what an alert means.
//
// It holds the rules that a controller and its county share: what a message
// is, whether it may sound ([Decide]), for how long, what it ends
// ([Alert.MayEnd]), which words are spoken ([Alert.Spoken]) and what counts
// as heard ([Heard]). It reads no clock and no disk.
package emergency
