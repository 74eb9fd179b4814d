package playlist

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// nameless are the names of folders, in lower case, that say nothing of what is
// in them.
var nameless = func() map[string]bool {
	all := map[string]bool{}
	for _, s := range strings.Split("clip|clips|audio|audios|sound|sounds|music|my music|mp3|wav|m4a|wma|media|file|files|recording|recordings|rec|record|voice|new recording|"+
		"download|downloads|desktop|documents|tmp|temp|new folder|untitled folder|usb|data|upload|uploads|share|inbox|import|dcim|backup|taken|refused|unknown album|"+
		"音频|音频文件|录音|新录音|标准录音|通话录音|录音文件|录音机|语音|语音备忘录|音乐|我的音乐|声音|媒体|文件|文件夹|新建文件夹|新文件夹|未命名文件夹|下载|桌面|文档|我的文档|临时|临时文件|"+
		"u盘|优盘|备份|上传|收件箱|待播|播出|节目|资料|素材|成品|微信|wechat|wechat files|未知专辑", "|") {
		all[s] = true
	}
	return all
}()

var (
	copyMark = regexp.MustCompile(`\s*\(?[0-9]*\)?$`)      // of 新建文件夹 (2)
	dateOnly = regexp.MustCompile(`^[0-9\s年月日号至到._~/-]*$`) // 2026年11月

	// One day of a month.
	day = regexp.MustCompile(`^(?:[0-9]{4}[^0-9]+[0-9]{1,2}[^0-9]+[0-9]{1,2}日?|[0-9]{8}|[0-9]{1,2}[^0-9]+[0-9]{1,2}[日号]?|[0-9]{1,2}[日号])$`)

	// 第二季, 2026年第一学期, 2026年冬, Season 2.
	season = regexp.MustCompile(`^(?:(?:19|20)[0-9]{2}(?:年度?|学年|级)?\s*(?:[春夏秋冬]季?(?:学期)?|[上下](?:学期|半年)|(?:第?(?:[0-9]{1,2}|` + numerals + `)(?:季度?|学期|月份?|周)))|` +
		`第?(?:[0-9]{1,4}|` + numerals + `)(?:季度?|学期|月份?|周|年|部|期|版|册|卷|辑|单元)|[上下](?:学期|半年)|(?:season|volume|vol|s|q)[\s.]*[0-9]{1,2})$`)
)

// IsSeries reports whether a folder's name, or what a name says before its
// number, is the name of a series: not a date, and not a name such as a program
// or a camera gives a folder.
func IsSeries(name string) bool {
	name = fold(strings.TrimSpace(name))
	first := copyMark.ReplaceAllString(name, "")
	return strings.ContainsFunc(name, unicode.IsLetter) && !nameless[name] && !nameless[first] && !dateOnly.MatchString(name) && !season.MatchString(name)
}

// SeriesOf returns the series for which the folders of a file stand, the outermost
// first: the innermost that has the name of a series, and with it the seasons,
// years and months below it, as each of them may number its issues anew: 健康
// 2026年11月. A day is none of these. Without the name of a series there is none.
func SeriesOf(folders []string) string {
	var names []string
	for _, name := range slices.Backward(folders) {
		folded := fold(strings.TrimSpace(name))
		switch {
		case IsSeries(name):
			return strings.Join(append([]string{name}, names...), " ")
		case folded != "" && (season.MatchString(folded) || dateOnly.MatchString(folded) && !day.MatchString(folded)):
			names = append([]string{name}, names...)
		}
	}
	return ""
}
