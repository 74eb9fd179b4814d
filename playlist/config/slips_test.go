package config_test

import (
	"encoding/binary"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"golang.org/x/text/encoding/simplifiedchinese"

	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// slips are single mistakes in the sample config: what stands there, what an operator
// writes for it, and what the one problem says that is reported. It is in the line in
// which the change begins or, if there is a ▶ in what is written, in the line of that;
// each ↓ puts it one line further down.
var slips = []struct{ was, is, says string }{
	// Keys misspelt, or of another table.
	{"name = \"大坝村\"", "nam = \"大坝村\"", "想写的可能是 name"},
	{"name = \"大坝村\"", "Name = \"大坝村\"", "想写的可能是 name"},
	{"area = ", "aera = ", "想写的可能是 area"},
	{"timezone = ", "time_zone = ", "想写的可能是 timezone"},
	{"data_dir = ", "datadir = ", "想写的可能是 data_dir"},
	{"data_dir = ", "dir = ", "想写的可能是 data_dir"},
	{"language = ", "lang = ", "不认识的键“lang”"},
	{"name = \"村口\"", "names = \"村口\"", "想写的可能是 name"},
	{"name = \"村口\"", "title = \"村口\"", "想写的可能是 name"},
	{"device = \"auto\"", "devcie = \"auto\"", "想写的可能是 device"},
	{"residents = 420", "resident = 420", "想写的可能是 residents"},
	{"from = \"21:30\"", "form = \"21:30\"", "想写的可能是 from"},
	{"to = \"06:00\"", "til = \"06:00\"", "想写的可能是 to"},
	{"name = \"健康微课堂\"", "naem = \"健康微课堂\"", "想写的可能是 name"},
	{"series = ", "serise = ", "想写的可能是 series"},
	{"series = ", "xilie = ", "不认识的键“xilie”"},
	{"name = \"早间健康\"", "id = \"早间健康\"", "想写的可能是 name"},
	{"playlist = \"健康微课堂\"", "playlst = \"健康微课堂\"", "想写的可能是 playlist"},
	{"playlist = \"健康微课堂\"", "list = \"健康微课堂\"", "想写的可能是 playlist"},
	{"cron = \"30 7 * * *\"", "corn = \"30 7 * * *\"", "想写的可能是 cron"},
	{"cron = \"30 7 * * *\"", "when = \"30 7 * * *\"", "想写的可能是 cron"},
	{"outputs = [\"村口\"]", "output = [\"村口\"]", "想写的可能是 outputs"},
	{"missed = \"late\"", "mised = \"late\"", "想写的可能是 missed"},
	{"missed = \"late\"", "if_missed = \"late\"", "不认识的键“if_missed”"},
	{"order = \"sequence\"\n", "order = \"sequence\"\n▶cron = \"30 7 * * *\"\n", "请把它移到 [[slot]] 下面"},
	{"pace = 160", "pace = 160\n▶backups = 3", "请把它移到 [store] 下面"},

	// Headers.
	{"[site]\n", "[[site]]\n", "请把表头写成 [site]"},
	{"[site]\n", "[sites]\n", "想写的可能是 [site]"},
	{"[site]\n", "[Site]\n", "想写的可能是 [site]"},
	{"[site]\n", "[station]\n", "想写的可能是 [site]"},
	{"[[output]]\n", "[output]\n", "请把表头写成 [[output]]"},
	{"[[output]]\n", "[outputs]\n", "想写的可能是 [[output]]"},
	{"[[output]]\n", "[[outputs]]\n", "想写的可能是 [[output]]"},
	{"[[output]]\n", "[[speaker]]\n", "想写的可能是 [[output]]"},
	{"[[output]]\n", "[[output]\n", "表头的方括号没有配对"},
	{"[[output]]\n", "[site.output]\n", "[[output]]"},
	{"[[playlist]]\n", "[playlist]\n", "请把表头写成 [[playlist]]"},
	{"[[playlist]]\n", "[[playlists]]\n", "想写的可能是 [[playlist]]"},
	{"[[playlist]]\n", "[[play_list]]\n", "想写的可能是 [[playlist]]"},
	{"[[slot]]\n", "[slot]\n", "请把表头写成 [[slot]]"},
	{"[[slot]]\n", "[[slots]]\n", "想写的可能是 [[slot]]"},
	{"[[slot]]\n", "[[Slot]]\n", "想写的可能是 [[slot]]"},
	{"[[quiet]]\n", "[quiet]\n", "请把表头写成 [[quiet]]"},
	{"[[quiet]]\n", "[[quite]]\n", "想写的可能是 [[quiet]]"},
	{"[[daypart]]\n", "[[dayparts]]\n", "想写的可能是 [[daypart]]"},
	{"[store]\n", "[[store]]\n", "请把表头写成 [store]"},
	{"[store]\n", "[site]\n", "想写的可能是 [store]"},
	{"clock = \"ntp\"", "[site]\nclock = \"ntp\"", "已经写过这个表"},
	{"[[slot]]\n", "↓", "请在这一行前面加上 [[slot]]"},
	{"[[output]]\n", "↓", "请在这一行前面加上 [[output]]"},
	{"[[playlist]]\n", "↓", "请在这一行前面加上 [[playlist]]"},
	{"[[quiet]]\n", "", "请在这一行前面加上 [[quiet]]"},
	{"[[daypart]]\n", "", "请在这一行前面加上 [[daypart]]"},
	{"[site]\n", "↓", "请在这一行前面加上 [site]"},
	{"[store]\n", "↓", "请在这一行前面加上 [store]"},
	{"[alert]\n", "↓↓↓", "请在这一行前面加上 [alert]"},
	{"[county]\n", "↓↓", "请把它移到 [county] 下面"},

	{"[ingest]\n", "↓↓↓↓↓↓↓", "请在这一行前面加上 [ingest]"},
	{"[[slot]]\n", "[[playlist]]\n", "想写的可能是 [[slot]]"},
	{"[[playlist]]\n", "[[slot]]\n", "想写的可能是 [[playlist]]"},
	{"[[daypart]]\n", "[[quiet]]\n", "想写的可能是 [[daypart]]"},
	{"[[playlist]]\n", "[playlist]]\n", "表头看不懂"},
	{"[[playlist]]\n", "[[节目单]]\n", "表头看不懂"},

	// Days of the calendar in cron, which weekdays are not.
	{"cron = \"30 7 * * *\"", "cron = \"工作日 7:30\"", "请写成 cron = \"30 7 * * *\"，再加一行 days = [\"工作日\"]"},
	{"cron = \"30 7 * * *\"", "cron = \"30 7 * * 工作日\"", "请写成 cron = \"30 7 * * *\"，再加一行 days = [\"工作日\"]"},
	{"cron = \"30 7 * * *\"", "cron = \"工作日早上7点和下午5点\"", "请写成 cron = \"0 7,17 * * *\"，再加一行 days = [\"工作日\"]"},
	{"cron = \"30 7 * * *\"", "cron = \"法定节假日 8:00\"", "请写成 cron = \"0 8 * * *\"，再加一行 days = [\"节假日\"]"},
	{"cron = \"30 7 * * *\"", "cron = \"工作日\"", "例如七点半播是 \"30 7 * * *\"，再加一行 days = [\"工作日\"]"},
	{"cron = \"30 7 * * *\"", "cron = \"周一到周五 7:30\"", "请写成 \"30 7 * * 1-5\""},

	// Several where one is taken, and what stands between several.
	{"series = ", "series = \"健康微课堂\", \"防火\" #", "这里写了几项；series 只能写一项，例如 series = \"健康微课堂\""},
	{"name = \"早间健康\"", "name = \"早间健康\"、\"早间\"", "name 只能写一项"},
	{"outputs = [\"村口\"]", "outputs = [\"村口\"; \"学校\"]", "列表的各项不能用“;”隔开；请改成英文逗号"},
	{"outputs = [\"村口\"]", "outputs = [\"村口\"；\"学校\"]", "列表的各项不能用“；”隔开；请改成英文逗号"},
	{"outputs = [\"村口\"]", "except = [2026-10-01；2026-10-02]", "列表的各项不能用“；”隔开；请改成英文逗号"},
	{"outputs = [\"村口\"]", "outputs = [\"村口\"] ；只在村口", "注释用 #"},
	{"outputs = [\"村口\"]", "outputs = [\"村 口\"]", "想写的可能是 村口"},

	// Brackets in the pattern of a file.
	{"series = ", "clips = [\"[\"] #", "“[”里的方括号没有配对"},
	{"series = ", "clips = [\"[防火]一.mp3\"] #", "把它换成 ?（代表任一个字符）"},

	// Words that are no key with its value.
	{"# 站点名称", "说明：以上", "行首不是键名；说明文字前面加 #"},
	{"# 站点名称", "！重要", "行首不是键名；说明文字前面加 #"},
	{"# 站点名称", "“注释”", "行首不是键名；说明文字前面加 #"},
	{"outputs = [\"村口\"]", "outputs = [↓\n“村口”，\n]", "改成半角的 \""},

	// A date, or a switch, where another value is wanted.
	{"outputs = [\"村口\"]", "from = 2026.12.1", "请写成 from = \"2026-12-01\""},
	{"outputs = [\"村口\"]", "except = 2026.12.1", "请写成 except = [\"2026-12-01\"]"},
	{"outputs = [\"村口\"]", "count = 2026.12.1", "等号后面的值看不懂；文字"},
	{"name = \"大坝村\"", "name = 2026.12.1", "等号后面的值看不懂；文字"},
	{"# drop = \"alerts\"", "drop = true", "请加英文双引号，例如 drop = \"alerts\""},

	// Paths of other systems, of which each is a warning.
	{"data_dir = \"/var/lib/dalaba\"", "data_dir = \"~/data\"", "（提醒）~ 不会被换成主目录，会建出一个名叫 ~ 的文件夹；请写完整路径，如 /home/…"},
	{"data_dir = \"/var/lib/dalaba\"", "data_dir = \"D:/data\"", "（提醒）D: 是 Windows 的盘符"},
	{"# inbox = \"/srv/dalaba/inbox\"", "inbox = \"~/inbox\"", "（提醒）~ 不会被换成主目录"},
	{"device = \"auto\"", "device = \"wav:~/x.wav\"", "（提醒）~ 不会被换成主目录"},
	{"# drop = \"alerts\"", "drop = \"~/alerts\"", "（提醒）~ 不会被换成主目录"},
	{"clock = \"ntp\"", "clock = \"file:~/synced\"", "（提醒）~ 不会被换成主目录"},

	// Several of one list are one problem.
	{"outputs = [\"村口\"]", "except = [\"10-1\", \"10-2\"]", "“10-1”没有写年份；请写成列表"},
	{"outputs = [\"村口\"]", "except = [\"10月1日\", \"2026-10-02\", \"10月3日\"]", "“10月1日”没有写年份；请写成列表"},
	{"outputs = [\"村口\"]", "days = [\"1\", \"3\"]", "请写成 days = [\"周一\", \"周三\"]"},
	{"[[output]]\n", "[[output.1]]\n", "请把表头写成 [[output]]"},
	{"[[output]]\n", "[output.1]\n", "请把表头写成 [[output]]"},

	// Words for days and choices.
	{"outputs = [\"村口\"]", "days = [\"双休日\"]", "请写成 days = [\"周六\", \"周日\"]"},
	{"outputs = [\"村口\"]", "days = [\"平日\"]", "请写成 days = [\"周一\", \"周二\", \"周三\", \"周四\", \"周五\"]"},
	{"outputs = [\"村口\"]", "days = [\"周一/周三\"]", "请写成 days = [\"周一\", \"周三\"]"},
	{"outputs = [\"村口\"]", "days = [\"1-5\"]", "请写成 days = [\"周一\", \"周二\", \"周三\", \"周四\", \"周五\"]"},
	{"outputs = [\"村口\"]", "days = [\"5-7\"]", "请写成 days = [\"周五\", \"周六\", \"周日\"]"},
	{"outputs = [\"村口\"]", "days = [\"週一\"]", "请写成 days = [\"周一\"]"},
	{"missed = \"late\"", "missed = \"补播\"", "请写成 \"make-good\""},

	// Twice.
	{"residents = 420\n", "residents = 420\n▶residents = 430\n", "已经写过这个键"},
	{"cron = \"30 7 * * *\"\n", "cron = \"30 7 * * *\"\n▶cron = \"30 8 * * *\"\n", "已经写过这个键"},
	{"name = \"早间健康\"\n", "name = \"早间健康\"\n▶name = \"早间\"\n", "已经写过这个键"},
	{"name = \"傍晚健康\"", "name = \"早间健康\"", "重复"},

	// Quotes, brackets, commas.
	{"name = \"大坝村\"", "name = 大坝村", "请写成 name = \"大坝村\""},
	{"name = \"大坝村\"", "name = \"大坝村", "引号没有配对"},
	{"name = \"大坝村\"", "name = 大坝村\"", "等号后面的值看不懂"},
	{"name = \"大坝村\"", "name = \"大坝村\"\"", "值的后面还有多余的内容"},
	{"name = \"大坝村\"", "name = \"大坝村'", "请把结尾改成 \""},
	{"name = \"大坝村\"", "name = \"大坝村”", "请把结尾改成 \""},
	{"name = \"大坝村\"", "name = “大坝村”", "改成半角的 \""},
	{"name = \"大坝村\"", "name = 「大坝村」", "改成半角的 \""},
	{"name = \"大坝村\"", "name: \"大坝村\"", "键的后面缺少等号"},
	{"name = \"大坝村\"", "name：\"大坝村\"", "键的后面缺少等号"},
	{"name = \"大坝村\"", "name \"大坝村\"", "键的后面缺少等号"},
	{"name = \"大坝村\"", "name ＝ \"大坝村\"", "改成半角的 ="},
	{"name = \"大坝村\"", "name = \"大坝村\",", "行尾多了“,”"},
	{"name = \"大坝村\"", "name = \"大坝村\"，", "行尾多了“，”"},
	{"name = \"大坝村\"", "name = \"大坝村\"；村委会", "注释用 #"},
	{"name = \"大坝村\"", "name = \"大坝村\" // 村委会", "注释用 #"},
	{"name = \"大坝村\"", "name = \"大坝村\" -- 村委会", "注释用 #"},
	{"name = \"大坝村\"", "name = \"大坝村\" ＃ 村委会", "改成半角的 #"},
	{"# 站点名称", "； 站点名称", "注释用 #"},
	{"# 站点名称", "; 站点名称", "注释用 #"},
	{"# 站点名称", "// 站点名称", "注释用 #"},
	{"# 站点名称", "＃ 站点名称", "改成半角的 #"},
	{"# 站点名称", "-- 站点名称", "注释用 #"},
	{"[site]", "［site］", "改成半角的 ["},
	{"[site]", "【site】", "改成半角的 ["},
	{"outputs = [\"村口\"]", "outputs = \"村口\"", "outputs = [\"村口\"]"},
	{"outputs = [\"村口\"]", "outputs = [村口]", "等号后面的值看不懂"},
	{"outputs = [\"村口\"]", "outputs = [\"村口\"↓↓↓", "列表没有写完整"},
	{"outputs = [\"村口\"]", "outputs = []", "列表是空的"},
	{"outputs = [\"村口\"]", "outputs = [\"村囗\"]", "想写的可能是 村口"},
	{"outputs = [\"村口\"]", "outputs = [\"村口\"，]", "改成半角的 ,"},
	{"outputs = [\"村口\"]", "outputs = (\"村口\")", "等号后面的值看不懂"},

	{"outputs = [\"村口\"]", "outputs = \"村口\"，\"村尾\"", "请写成 outputs = [\"村口\",\"村尾\"]"},
	{"name = \"大坝村\"", "name = \"大坝村\" （村委会）", "注释用 #"},
	{"[store]\n", "{store}\n", "行首不是键名；键名用英文字母"},
	{"residents = 420", "residents = 420户", "请写成 residents = 420"},
	{"area = \"341523100201\"", "area = \"341523-100201\"", "请写成 \"341523100201\""},
	{"timezone = \"Asia/Shanghai\"", "timezone = \"Asia／Shanghai\"", "请写成 \"Asia/Shanghai\""},

	// Characters that are not seen.
	{"name = \"大坝村\"", "name　= \"大坝村\"", "全角空格 U+3000"},
	{"name = \"大坝村\"", "name =\u00a0\"大坝村\"", "不换行空格 U+00A0"},
	{"name = \"大坝村\"", "name = \u200b\"大坝村\"", "零宽空格 U+200B"},
	{"name = \"大坝村\"", "name = \"大坝村\"　", "全角空格 U+3000"},
	{"name = \"大坝村\"", "name = \"大坝村\"\u2028", "行分隔符 U+2028"},
	{"name = \"大坝村\"", "\ufeffname = \"大坝村\"", "（BOM） U+FEFF"},
	{"name = \"大坝村\"", "na\u00adme = \"大坝村\"", "软连字符 U+00AD"},
	{"name = \"大坝村\"", "\"na\u200bme\" = \"大坝村\"", "零宽空格 U+200B"},
	{"name = \"大坝村\"", "name = \"大坝村\"\r\r", "单独的回车符 U+000D"},
	{"name = \"大坝村\"", "name = \"大坝村\u200b\"", "（提醒）这里有一个零宽空格 U+200B"},
	{"name = \"大坝村\"", "name = \"大坝村\u202e\"", "（提醒）这里有一个从右到左强制符 U+202E"},
	{"[[slot]]", "[[slot\u200b]]", "零宽空格 U+200B"},
	{"[[slot]]", "　[[slot]]", "全角空格 U+3000"},
	{"[[slot]]", "[[slot]]\u3000", "全角空格 U+3000"},
	{"name = \"村口\"", "name = \"村口\u200b\"", "零宽空格 U+200B"},
	{"name = \"村口\"", "name = \"村口　\"", "（提醒）这里有一个全角空格 U+3000"},
	{"outputs = [\"村口\"]", "outputs = [\"村口　\"]", "全角空格 U+3000"},
	{"outputs = [\"村口\"]", "outputs = [\"\u200b村口\"]", "零宽空格 U+200B"},
	{"playlist = \"健康微课堂\"", "playlist = \"健康微\u200b课堂\"", "零宽空格 U+200B"},
	{"series = \"健康微课堂\"", "series = \"健康微课堂\ufeff\"", "U+FEFF"},
	{"cron = \"30 7 * * *\"", "cron = \"30\u00a07 * * *\"", "（提醒）这里有一个不换行空格 U+00A0"},
	{"cron = \"30 7 * * *\"", "cron = \"30 7 * *\u200b *\"", "零宽空格 U+200B"},
	{"device = \"auto\"", "device = \"auto\u200b\"", "零宽空格 U+200B"},
	{"from = \"21:30\"", "from = \"21:30\u200b\"", "零宽空格 U+200B"},
	{"# from = 2026-01-01", "from = \"2026-01-01\u200b\"", "零宽空格 U+200B"},
	{"missed = \"late\"", "missed = \"late\u200b\"", "零宽空格 U+200B"},

	// cron.
	{"cron = \"30 7 * * *\"", "cron = \"７:30\"", "请写成 \"30 7 * * *\""},
	{"cron = \"30 7 * * *\"", "cron = \"07:30\"", "请写成 \"30 7 * * *\""},
	{"cron = \"30 7 * * *\"", "cron = 07:30", "请写成 cron = \"30 7 * * *\""},
	{"cron = \"30 7 * * *\"", "cron = 30 7 * * *", "请写成 cron = \"30 7 * * *\""},
	{"cron = \"30 7 * * *\"", "cron = \"每天7点半\"", "请写成 \"30 7 * * *\""},
	{"cron = \"30 7 * * *\"", "cron = \"每天早上七点半\"", "请写成 \"30 7 * * *\""},
	{"cron = \"30 7 * * *\"", "cron = \"周一到周五 7:30\"", "请写成 \"30 7 * * 1-5\""},
	{"cron = \"30 7 * * *\"", "cron = \"30 7 ＊ ＊ ＊\"", "请写成 \"30 7 * * *\""},
	{"cron = \"30 7 * * *\"", "cron = \"30 7 * *\"", "请写成 \"30 7 * * *\""},
	{"cron = \"30 7 * * *\"", "cron = \"7 30 * * *\"", "请写成 \"30 7 * * *\""},
	{"cron = \"30 7 * * *\"", "cron = \"30 7 * * * *\"", "请只写五项：\"30 7 * * *\""},
	{"cron = \"30 7 * * *\"", "cron = \"0 30 7 ? * * *\"", "请写成 \"0 30 7 ? * *\""},
	{"cron = \"30 7 * * *\"", "cron = \"30 7 * * 周六、周日\"", "请写成 \"30 7 * * 6,0\""},
	{"cron = \"30 7 * * *\"", "cron = \"30 7 * * 1-7\"", "请写成 \"30 7 * * *\""},
	{"cron = \"30 7 * * *\"", "cron = \"30 7 * * 7\"", "请写成 \"30 7 * * 0\""},
	{"cron = \"30 7 * * *\"", "cron = \"30 7 * * monday\"", "请写成 \"30 7 * * mon\""},
	{"cron = \"30 7 * * *\"", "cron = \"30，0 7 * * *\"", "请写成 \"30,0 7 * * *\""},
	{"cron = \"30 7 * * *\"", "cron = \"30 7 30 2 *\"", "这样的日子不存在"},
	{"cron = \"30 7 * * *\"", "cron = \"75 7 * * *\"", "请用 0 到 59"},
	{"cron = \"30 7 * * *\"", "cron = \"\"", "内容为空"},
	{"cron = \"30 7 * * *\"", "cron = 730", "请写成 cron = \"30 7 * * *\""},

	{"cron = \"30 7 * * *\"", "cron = \"7:30,18:30\"", "请写成 \"30 7,18 * * *\""},
	{"cron = \"30 7 * * *\"", "cron = \"30 7\"", "请写成 \"30 7 * * *\""},
	{"cron = \"30 7 * * *\"", "cron = \"30 7 * * * * *\"", "请写成 \"30 7 * * *\""},
	{"cron = \"30 7 * * *\"", "cron = \"30 7 * * 周五到周一\"", "请写成 \"30 7 * * 0-1,5-6\""},
	{"cron = \"30 7 * * *\"", "cron = \"30 24 * * *\"", "请写成 \"30 0 * * *\""},
	{"cron = \"30 7 * * *\"", "cron = \"30 24 * * 5\"", "请用 0 到 23"},
	{"cron = \"30 7 * * *\"", "cron = \"工作日早上7点\"", "请写成 cron = \"0 7 * * *\"，再加一行 days = [\"工作日\"]"},
	{"cron = \"30 7 * * *\"", "cron = \"晚上12点\"", "请写“分 时 日 月 星期”五项"},

	// Dates and times.
	{"# from = 2026-01-01", "from = 2026/01/01", "请写成 from = \"2026-01-01\""},
	{"# from = 2026-01-01", "from = \"2026/1/1\"", "请写成 \"2026-01-01\""},
	{"# from = 2026-01-01", "from = \"2026.1.1\"", "请写成 \"2026-01-01\""},
	{"# from = 2026-01-01", "from = \"2026年1月1日\"", "请写成 \"2026-01-01\""},
	{"# from = 2026-01-01", "from = \"2026—01—01\"", "请写成 \"2026-01-01\""},
	{"# from = 2026-01-01", "from = 20260101", "请写成 \"2026-01-01\""},
	{"# from = 2026-01-01", "from = \"12-01\"", "没有写年份"},
	{"# from = 2026-01-01", "from = \"2026-02-30\"", "2 月没有 30 日"},
	{"# from = 2026-01-01", "from = 2026-02-30", "2 月没有 30 日"},
	{"# from = 2026-01-01", "from = \"2026-04-31\"", "4 月没有 31 日"},
	{"# from = 2026-01-01", "from = 2026-13-01", "没有 13 月"},
	{"# from = 2026-01-01", "from = 2026-01-01 07:30:00", "请写成 \"2026-01-01\""},
	{"# from = 2026-01-01", "from = \"明天\"", "请写成 2026-12-31 的样子"},
	{"# except = [2026-10-01, 2026-10-02]", "except = [\"2026/10/01\"]", "请写成 \"2026-10-01\""},
	{"# except = [2026-10-01, 2026-10-02]", "except = \"2026-10-01\"", "请写成 except = [\"2026-10-01\"]"},
	{"# except = [2026-10-01, 2026-10-02]", "except = [2026-10-01，2026-10-02]", "请写成 except = [\"2026-10-01\", \"2026-10-02\"]"},
	{"to = \"06:00\"", "to = \"6:30\"", "请写成 \"06:30\""},
	{"to = \"06:00\"", "to = 6:30", "请写成 to = \"06:30\""},
	{"from = \"21:30\"", "from = \"21：30\"", "请写成 \"21:30\""},
	{"from = \"21:30\"", "from = 21：30", "请写成 from = \"21:30\""},
	{"to = \"06:00\"", "to = \"6点半\"", "请写成 \"06:30\""},
	{"from = \"21:30\"", "from = \"晚上9点半\"", "请写成 \"21:30\""},
	{"from = \"21:30\"", "from = \"9:30 PM\"", "请写成 \"21:30\""},
	{"from = \"21:30\"", "from = \"2130\"", "请写成 \"21:30\""},
	{"from = \"21:30\"", "from = 21.30", "请写成 from = \"21:30\""},
	{"from = \"21:30\"", "from = \"25:30\"", "不是一天中的时刻"},
	{"to = \"06:00\"", "to = \"24:30\"", "请写成 \"00:30\""},
	{"to = \"06:00\"", "to = 6", "请写成 to = \"06:00\""},
	{"window = \"2m\"", "window = 2m", "请写成 window = \"2m\""},
	{"window = \"2m\"", "window = \"2分钟\"", "请写成 \"2m\""},
	{"window = \"2m\"", "window = \"2 min\"", "请写成 \"2m\""},
	{"window = \"2m\"", "window = \"２m\"", "请写成 \"2m\""},
	{"window = \"2m\"", "window = \"2\"", "不是时长"},
	{"window = \"2m\"", "window = \"2h\"", "超出范围"},
	{"window = \"2m\"", "window = 120", "这里要写文字"},

	// Types, choices and ranges.
	{"area = \"341523100201\"", "area = 341523100201", "area = \"341523100201\""},
	{"area = \"341523100201\"", "area = \"３４１５２３１００２０１\"", "全角字符"},
	{"area = \"341523100201\"", "area = \"34152310020\"", "不是 12 位数字"},
	{"timezone = \"Asia/Shanghai\"", "timezone = \"Asia/Beijing\"", "没有时区"},
	{"timezone = \"Asia/Shanghai\"", "timezone = \"北京时间\"", "没有时区"},
	{"language = \"zh-CN\"", "language = \"中文\"", "请写成 \"zh-CN\""},
	{"language = \"zh-CN\"", "language = \"zh_CN\"", "请写成 \"zh-CN\""},
	{"clock = \"ntp\"", "clock = \"NTP\"", "请写成 \"ntp\""},
	{"ceiling_db = 0", "ceiling_db = \"0\"", "这里要写数字"},
	{"ceiling_db = 0", "ceiling_db = 6", "超出范围"},
	{"ceiling_db = 0", "ceiling_db = -6dB", "请写成 ceiling_db = -6"},
	{"ceiling_db = 0", "ceiling_db = －6", "请写成 ceiling_db = -6"},
	{"residents = 420", "residents = \"420\"", "这里要写整数"},
	{"residents = 420", "residents = 420人", "请写成 residents = 420"},
	{"residents = 420", "residents = -1", "超出范围"},
	{"residents = 420", "residents = ４２０", "请写成 residents = 420"},
	{"order = \"sequence\"", "order = \"Sequence\"", "请写成 \"sequence\""},
	{"order = \"sequence\"", "order = \"随机\"", "请写成 \"shuffle\""},
	{"count = 1", "count = 0", "超出范围"},
	{"priority = 5", "priority = 10", "超出范围"},
	{"priority = 5", "priority = 05", "数字不能以 0 开头"},
	{"missed = \"late\"", "missed = \"makegood\"", "请写成 \"make-good\""},
	{"missed = \"late\"", "missed = \"skip\"↓↓↓", "until 不起作用"},
	{"missed = \"late\"", "# missed = \"late\"↓↓↓", "until 不起作用"},
	{"until = \"09:00\"", "until = \"07:00\"", "早于每一次播出"},
	{"chime = true", "chime = True", "请写成 chime = true"},
	{"chime = true", "chime = \"true\"", "这里要写开关值"},
	{"chime = true", "chime = 是", "请写成 chime = true"},
	{"# days = [\"周一\", \"周三\", \"周五\"]", "days = [\"周八\"]", "不是星期几"},
	{"# days = [\"周一\", \"周三\", \"周五\"]", "days = \"周一\"", "请写成 days = [\"周一\"]"},
	{"wins = \"priority\"", "wins = \"countty\"", "请写成 \"county\""},
	{"\"六安\" = \"陆安\"", "\"六安\" = 陆安", "等号后面的值看不懂"},

	{"# days = [\"周一\", \"周三\", \"周五\"]", "days = [\"周六至周日\"]", "请写成 days = [\"周六\", \"周日\"]"},
	{"# days = [\"周一\", \"周三\", \"周五\"]", "days = [\"周一、周三\"]", "请写成 days = [\"周一\", \"周三\"]"},
	{"# days = [\"周一\", \"周三\", \"周五\"]", "days = [1, 3]", "这里要写文字"},
	{"chime = true", "chime = ture", "请写成 chime = true"},
	{"unsigned = [\"hand\"]", "unsigned = [\"hand\u200b\"]", "零宽空格 U+200B"},
	{"\"六安\" = \"陆安\"", "六安 = \"陆安\"", "请在 [ingest.words] 下面写成"},
	{"to = \"14:00\"", "to = \"20:00\"" + strings.Repeat("↓", 112), "（提醒）每一次播出都落在免打扰时间里"},
	{"# except = [2026-10-01, 2026-10-02]", "except = [2026/10/01]", "请写成 \"2026-10-01\""},

	// Names that are not there, and devices.
	{"playlist = \"健康微课堂\"", "playlist = \"健康课堂\"", "想写的可能是 健康微课堂"},
	{"playlist = \"健康微课堂\"", "playlist = \"戏曲\"", "没有节目单“戏曲”"},
	{"name = \"健康微课堂\"", "name = \"健康 微课堂\"", "名称里不能有“ ”"},
	{"name = \"健康微课堂\"", "name = \"\"", "内容为空"},
	{"name = \"健康微课堂\"", "name = \"戏曲\"" + strings.Repeat("↓", 28), "没有节目单“健康微课堂”（2 个时段用到它）"},
	{"name = \"村口\"", "name = \"村口（东）\"", "名称里不能有“（”"},
	{"name = \"村口\"", "name = 3", "这里要写文字"},
	{"[[output]]\n# 名称：汉字、字母、数字、- 和 _。Letters, digits, Chinese characters, - and _.\nname = \"村口\"\n", "[[output]]\n", "缺少必填的键"},
	{"series = \"健康微课堂\"", "series = \"健康讲堂\"", "没有系列“健康讲堂”"},
	{"series = \"健康微课堂\"", "clips = [\"没有/*.mp3\"]", "没有匹配到任何文件"},
	{"series = \"健康微课堂\"", "clips = \"clips/*.mp3\"", "clips = [\"clips/*.mp3\"]"},
	{"series = \"健康微课堂\"", "clips = [\"clips/*.mp3\"]\n▶series = \"健康微课堂\"", "同时写了 clips 和 series"},
	{"device = \"auto\"", "device = \"hw:1,0\"", "（提醒）“hw:1,0”按编号指定声卡"},
	{"device = \"auto\"", "device = \"plughw:0\"", "（提醒）“plughw:0”按编号指定声卡"},
	{"device = \"auto\"", "device = \"default\"", "（提醒）“default”和声卡之间"},
	{"device = \"auto\"", "device = \"alsa:pulse\"", "（提醒）“pulse”和声卡之间"},
	{"device = \"auto\"", "device = \"pulse\"", "看不懂设备“pulse”"},
	{"device = \"auto\"", "device = \"hw：1,0\"", "“：”是全角字符"},
	{"device = \"auto\"", "device = auto", "请写成 device = \"auto\""},
	{"outputs = [\"村口\"]", "outputs = [\"村口，村尾\"]", "每个名称各写一项，例如 outputs = [\"村口\", \"村尾\"]"},
	{"name = \"傍晚健康\"", "name = \"早间健康　\"", "重复"},
	{"name = \"傍晚健康\"", "name = \"早间健康\u200b\"", "零宽空格 U+200B"},
	{"title = \"健康微课堂\"", "title = \"健康微课堂　\"", "（提醒）这里有一个全角空格 U+3000"},
	{"device = \"auto\"", "device = \"plug:hw:1\"", "（提醒）“hw:1”按编号指定声卡"},
	{"device = \"auto\"", "device = \"hw:１,0\"", "（提醒）“hw:１,0”里有全角字符"},
	{"device = \"auto\"", "device = \"Auto\"", "请写成 \"auto\""},
	{"data_dir = \"/var/lib/dalaba\"", "data_dir = \"\"", "内容为空"},
	{"data_dir = \"/var/lib/dalaba\"", "data_dir = /var/lib/dalaba", "请写成 data_dir = \"/var/lib/dalaba\""},
	{"data_dir = \"/var/lib/dalaba\"", "data_dir = \"C:\\data\"", "反斜杠"},

	// The form goes by the key.
	{"window = \"2m\"", "window = 1h", "请写成 window = \"1h\""},
	{"window = \"2m\"", "window = 半小时", "请写成 window = \"30m\""},
	{"life = \"1h\"", "life = 24h", "请写成 life = \"24h\""},
	{"life = \"1h\"", "life = 1天", "请写成 life = \"24h\""},
	{"timeout = \"15m\"", "timeout = 1h", "请写成 timeout = \"1h\""},
	{"timeout = \"15m\"", "timeout = 2h", "等号后面的值看不懂；文字、时间"},
	{"# days = [\"周一\", \"周三\", \"周五\"]", "days = 周一", "请写成 days = [\"周一\"]"},
	{"# days = [\"周一\", \"周三\", \"周五\"]", "days = [周一, 周三]", "请写成 days = [\"周一\", \"周三\"]"},
	{"# days = [\"周一\", \"周三\", \"周五\"]", "days = 每天", "请把 days 这一行删掉"},
	{"# days = [\"周一\", \"周三\", \"周五\"]", "days = [\"每天\"]", "请把 days 这一行删掉"},
	{"# days = [\"周一\", \"周三\", \"周五\"]", "days = [\"一\", \"三\"]", "请写成 days = [\"周一\", \"周三\"]"},
	{"# days = [\"周一\", \"周三\", \"周五\"]", "days = [\"工作日\", \"周6\"]", "请写成 days = [\"工作日\", \"周六\"]"},
	{"# days = [\"周一\", \"周三\", \"周五\"]", "days = [\"Mon-Fri\"]", "请写成 days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]"},
	{"# days = [\"周一\", \"周三\", \"周五\"]", "days = []", "例如 days = [\"周一\"]"},
	{"outputs = [\"村口\"]", "outputs = 村口", "请写成 outputs = [\"村口\"]"},
	{"outputs = [\"村口\"]", "outputs = 全部", "请把 outputs 这一行删掉"},
	{"outputs = [\"村口\"]", "outputs = [\"全部\"]", "请把 outputs 这一行删掉"},
	{"outputs = [\"村口\"]", "outputs = [\"*\"]", "请把 outputs 这一行删掉"},
	{"outputs = [\"村口\"]", "outputs = \"*\"", "请把 outputs 这一行删掉"},
	{"outputs = [\"村口\"]", "outputs = [\"村口 学校\"]", "每个名称各写一项，例如 outputs = [\"村口\", \"学校\"]"},
	{"outputs = [\"村口\"]", "outputs = [\"《村口》\"]", "想写的可能是 村口"},
	{"outputs = [\"村口\"]", "outputs = [\"（东）\"]", "可用的有：村口"},
	{"outputs = [\"村口\"]", "output = \"村口\"", "请写成 outputs = [\"村口\"]"},
	{"outputs = [\"村口\"]", "output = 村口", "请写成 outputs = [\"村口\"]"},
	{"playlist = \"健康微课堂\"", "playlist = [\"健康微课堂\"]", "请写成 playlist = \"健康微课堂\""},
	{"playlist = \"健康微课堂\"", "playlist = \"《戏曲》\"", "可用的有：健康微课堂"},
	{"series = \"健康微课堂\"", "clip = \"健康微课堂\"", "请写成 series = \"健康微课堂\""},
	{"series = \"健康微课堂\"", "clips = [\"健康微课堂\"]", "请写成 series = \"健康微课堂\""},
	{"series = \"健康微课堂\"", "clips = [\"clips/1.mp3\", \"健康微课堂\"]", "把 clips 换成 series = \"健康微课堂\""},
	{"series = \"健康微课堂\"", "clips = [\"第1期\"]", "“dalaba clips”列出音频的编号和系列"},
	{"# except = [2026-10-01, 2026-10-02]", "except = 2026/10/01", "请写成 except = [\"2026-10-01\"]"},
	{"# except = [2026-10-01, 2026-10-02]", "except = 2026-10-01, 2026-10-02", "请写成 except = [\"2026-10-01\", \"2026-10-02\"]"},
	{"# except = [2026-10-01, 2026-10-02]", "except = [2026-10-01 2026-10-02]", "请写成 except = [\"2026-10-01\", \"2026-10-02\"]"},
	{"# except = [2026-10-01, 2026-10-02]", "except = [\"2026.10.1\", \"2026.10.2\"]", "请写成 except = [\"2026-10-01\", \"2026-10-02\"]"},
	{"# except = [2026-10-01, 2026-10-02]", "except = [\"2026-10-01~2026-10-07\"]", "“2026-10-01~2026-10-07”是一段日期"},
	{"# except = [2026-10-01, 2026-10-02]", "holidays = [2026-10-01]", "不认识的键“holidays”"},
	{"# inbox = \"/srv/dalaba/inbox\"", "inbox = \".\"", "放进这个文件夹的文件会被收走"},
	{"cron = \"30 7 * * *\"", "cron = 早上8点", "请写成 cron = \"0 8 * * *\""},
	{"cron = \"30 7 * * *\"", "cron = 周一", "还要写上几点播，例如七点半播是 \"30 7 * * 1\""},
	{"cron = \"30 7 * * *\"", "cron = \"每天\"", "还要写上几点播，例如七点半播是 \"30 7 * * *\""},
	{"device = \"auto\"", "device = null", "请写成 device = \"null:\""},
	{"device = \"auto\"", "device = \"Null:\"", "请写成 \"null:\""},
	{"device = \"auto\"", "device = \"HW:1,0\"", "请写成 \"hw:1,0\""},
	{"device = \"auto\"", "device = \"自动\"", "请写成 \"auto\""},
	{"device = \"auto\"", "device = \"plughw: CARD=Device\"", "（提醒）“plughw: CARD=Device”里有空格"},
	{"device = \"auto\"", "device = \"plughw:CARD\"", "（提醒）“plughw:CARD”没有写声卡的名字"},
	{"device = \"auto\"", "device = speaker", "等号后面的值看不懂；文字、时间"},
	{"language = \"zh-CN\"", "language = 中文", "请写成 language = \"zh-CN\""},
	{"clock = \"ntp\"", "clock = \"Battery\"", "请写成 \"battery\""},
	{"clock = \"ntp\"", "clock = \"batery\"", "请写成 \"battery\""},
	{"ceiling_db = 0", "ceiling_db = 80%", "等号后面的值看不懂；文字、时间"},
	{"ceiling_db = 0", "ceiling_db = \"-6dB\"", "请写成 ceiling_db = -6"},
	{"until = \"09:00\"", "until = 24:00", "请写成 until = \"24:00\""},
	{"until = \"09:00\"", "until = \"0点\"", "请写成四位数的时刻"},
	{"from = \"21:30\"", "from = \"21.5\"", "请写成四位数的时刻"},
	{"from = \"21:30\"", "from = \"21:3\"", "请写成四位数的时刻"},
	{"from = \"21:30\"", "from = 21.5", "请写成四位数的时刻"},
	{"from = \"21:30\"", "from = \"晚上12点\"", "请写成四位数的时刻"},
	{"from = \"21:30\"", "from = \"夜里2点\"", "请写成四位数的时刻"},
	{"# from = 2026-01-01", "from = 01/01/2026", "请写成 from = \"2026-01-01\""},
	{"# from = 2026-01-01", "from = \"01/02/2026\"", "请写成 2026-12-31 的样子"},
	{"[[output]]\n", "[[output]]：\n", "行尾多了“：”"},
}

func TestOneSlipIsOneProblem(t *testing.T) {
	sample, err := os.ReadFile("../../cmd/dalaba/dalaba.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range slips {
		text, line, ok := slipped(string(sample), s.was, s.is)
		if !ok {
			t.Errorf("the sample has no line that begins with %q", s.was)
			continue
		}
		_, problems := config.Read("/etc/dalaba/dalaba.toml", []byte(text), shelf{})
		ok = len(problems) == 1 && problems[0].Line == line && strings.Contains(problems[0].In(say.Chinese), s.says)
		if !ok {
			t.Errorf("%q for %q: want in line %d %q alone, got", s.is, s.was, line, s.says)
			for _, p := range problems {
				t.Log("   ", p.In(say.Chinese))
			}
		}
	}
}

// slipped is the sample with a slip, and the line of its problem.
func slipped(sample, was, is string) (text string, line int, ok bool) {
	at := strings.Index("\n"+sample, "\n"+was)
	if at < 0 {
		return "", 0, false
	}
	before, mark, marked := strings.Cut(strings.ReplaceAll(is, "↓", ""), "▶")
	if !marked {
		before, mark = "", before
	}
	text = sample[:at] + before + mark + sample[at+len(was):]
	return text, 1 + strings.Count(text[:at]+before, "\n") + strings.Count(is, "↓"), true
}

// concrete is a remedy that says what to write: a value, or a key with its value.
var concrete = regexp.MustCompile(`；请写成 ((\w+ = )?(?:"[^"]*"|\[.*\]|-?\d+|true|false))$`)

// twoLines is a remedy that says to write a key with its value, and another one below it.
var twoLines = regexp.MustCompile(`；请写成 (cron = "[^"]*")，再加一行 (days = \[.*\])$`)

// values are those of a line, each in the place of its first character.
var values = regexp.MustCompile(`"[^"]*"|\d+-\d+-\d+ \d+:\d+:\d+|[^\s"=\[\],]+`)

// follow does in a text what the remedy of a problem says.
func follow(text string, p config.Problem) (string, bool) {
	lines := strings.Split(text, "\n")
	line := lines[p.Line-1]
	if m := twoLines.FindStringSubmatch(p.In(say.Chinese)); m != nil {
		lines[p.Line-1] = m[1] + "\n" + m[2]
		return strings.Join(lines, "\n"), true
	}
	m := concrete.FindStringSubmatch(p.In(say.Chinese))
	if m == nil {
		return "", false
	}
	if m[2] != "" {
		lines[p.Line-1] = m[1]
		return strings.Join(lines, "\n"), true
	}
	column := len(string([]rune(line)[:p.Column-1]))
	for _, at := range values.FindAllStringIndex(line, -1) {
		if at[0] > strings.Index(line, "=") && at[1] > column {
			lines[p.Line-1] = line[:at[0]] + m[1] + line[at[1]:]
			return strings.Join(lines, "\n"), true
		}
	}
	return "", false
}

func TestWhatARemedySaysToWriteIsTaken(t *testing.T) {
	sample, err := os.ReadFile("../../cmd/dalaba/dalaba.toml")
	if err != nil {
		t.Fatal(err)
	}
	followed := 0
	for _, s := range slips {
		text, _, _ := slipped(string(sample), s.was, s.is)
		_, problems := config.Read("/etc/dalaba/dalaba.toml", []byte(text), shelf{})
		for _, p := range problems {
			mended, ok := follow(text, p)
			if !ok {
				if concrete.MatchString(p.In(say.Chinese)) {
					t.Errorf("%s: no value is found for %s", s.is, p.In(say.Chinese))
				}
				continue
			}
			followed++
			if _, again := config.Read("/etc/dalaba/dalaba.toml", []byte(mended), shelf{}); config.Refused(again) && again[0].What.Key != "config.output" { // a name that is none is a slip of its own
				t.Errorf("%s: %s: and then %s", s.is, p.In(say.Chinese), again[0].In(say.Chinese))
			}
		}
	}
	if followed < 100 {
		t.Errorf("only %d remedies say what to write", followed)
	}
}

// meant are times as people write them, with the airings they mean in the week from
// Monday, 5 January 2026; none if it is not clear, so that no spec may be offered.
var meant = []struct {
	text    string
	airings string // weekday, Monday is 1, and time
}{
	{"每天7点半", "1 07:30, 2 07:30, 3 07:30, 4 07:30, 5 07:30, 6 07:30, 7 07:30"},
	{"07:30", "1 07:30, 2 07:30, 3 07:30, 4 07:30, 5 07:30, 6 07:30, 7 07:30"},
	{"07:30 周一", "1 07:30"},
	{"周一 07:30", "1 07:30"},
	{"周一7:30", "1 07:30"},
	{"每周一早上七点半", "1 07:30"},
	{"周一三五 7:30", "1 07:30, 3 07:30, 5 07:30"},
	{"周一、三、五7点半", "1 07:30, 3 07:30, 5 07:30"},
	{"周一 周三 周五 7:30", "1 07:30, 3 07:30, 5 07:30"},
	{"周一和周三下午3点", "1 15:00, 3 15:00"},
	{"周一到周五 7:30", "1 07:30, 2 07:30, 3 07:30, 4 07:30, 5 07:30"},
	{"周五到周一 7:30", "1 07:30, 5 07:30, 6 07:30, 7 07:30"},
	{"周末8点", "6 08:00, 7 08:00"},
	{"双休日8点", "6 08:00, 7 08:00"},
	{"平日 7:30", "1 07:30, 2 07:30, 3 07:30, 4 07:30, 5 07:30"},
	{"週一 7:30", "1 07:30"},
	{"周日晚上八点", "7 20:00"},
	{"星期天 20:00", "7 20:00"},
	{"周一三点", "1 03:00"},
	{"周7 8:00", "7 08:00"},
	{"mon-fri 7:30", "1 07:30, 2 07:30, 3 07:30, 4 07:30, 5 07:30"},
	{"Monday to Wednesday at 7:30 pm", "1 19:30, 2 19:30, 3 19:30"},
	{"7:30 sunday", "7 07:30"},
	{"工作日下午6点", "1 18:00, 2 18:00, 3 18:00, 4 18:00, 5 18:00"},
	{"工作日 7:30", "1 07:30, 2 07:30, 3 07:30, 4 07:30, 5 07:30"},
	{"30 7 * * 工作日", "1 07:30, 2 07:30, 3 07:30, 4 07:30, 5 07:30"},
	{"每个工作日早上7点和下午5点", "1 07:00, 1 17:00, 2 07:00, 2 17:00, 3 07:00, 3 17:00, 4 07:00, 4 17:00, 5 07:00, 5 17:00"},
	{"法定节假日 9:00", "6 09:00, 7 09:00"},
	{"7:30 on workdays", ""}, {"workday 7:30", "1 07:30, 2 07:30, 3 07:30, 4 07:30, 5 07:30"},
	{"非工作日 9:00", ""}, {"工作日和周六 9:00", ""}, {"工作日和节假日 9:00", ""}, {"节假日", ""},
	{"周六 8点、18点", "6 08:00, 6 18:00"},
	{"周六 8点 18点", ""},
	{"周六七点零五", "6 07:05"},
	{"周六中午12点半", "6 12:30"},
	{"周六凌晨5点", "6 05:00"},
	{"30 7 * * 周末", "6 07:30, 7 07:30"},
	{"30 7 * * 一三五", "1 07:30, 3 07:30, 5 07:30"},
	{"7:30 * * 周一", "1 07:30"},
	{"30分 7点 * * 周一", "1 07:30"},

	{"周一", ""}, {"周一三五", ""}, {"周末", ""}, {"周日", ""}, {"每天", ""}, {"工作日", ""}, {"mon", ""}, {"monday", ""}, {"mon-fri", ""},
	{"7", ""}, {"1", ""}, {"周一7", ""}, {"30 7 1", ""}, {"7:30 1", ""}, {"1 7:30", ""},
	{"周一二十点", ""}, {"周一三五点", ""}, {"周17:30", ""}, {"21.5", ""}, {"21:3", ""}, {"每天21:3", ""},
	{"晚上12点", ""}, {"晚上2点", ""}, {"夜里2点", ""}, {"凌晨12点", ""}, {"早上18:00", ""}, {"下午12点", ""}, {"中午5点", ""}, {"周一24点", ""},
	{"每小时", ""}, {"每隔2小时", ""}, {"1h", ""}, {"每天7:30和8:00", ""}, {"除周日外每天7:30", ""}, {"每天周一7:30", ""}, {"每周7:30", ""}, {"每月1号7点", ""}, {"7点到9点", ""},
	{"7时 20分 * * *", ""}, {"五五 7:30", ""},
}

func TestACronSpecIsOfferedOnlyForWhatTheTextMeans(t *testing.T) {
	for _, m := range meant {
		text := good + slotOf("健康")
		text = strings.Replace(text, "\"30 7 * * *\"", "\""+m.text+"\"", 1)
		_, problems := config.Read("dalaba.toml", []byte(text), shelf{})
		if len(problems) != 1 {
			t.Errorf("%s: %v", m.text, problems)
			continue
		}
		mended, ok := follow(text, problems[0])
		if !ok {
			if m.airings != "" {
				t.Errorf("%s: %s", m.text, problems[0].In(say.Chinese))
			}
			continue
		}
		c, problems := config.Read("dalaba.toml", []byte(mended), shelf{})
		if c == nil {
			t.Errorf("%s: %v", m.text, problems)
			continue
		}
		zone := c.Site.Zone
		var airings []string
		at := time.Date(2026, 1, 5, 0, 0, 0, 0, zone)
		for end := at.AddDate(0, 0, 7); ; {
			next, ok := c.Slots[0].Next(at, zone)
			if !ok || !next.Before(end) {
				break
			}
			day := (int(next.In(zone).Weekday())+6)%7 + 1
			airings = append(airings, strconv.Itoa(day)+next.In(zone).Format(" 15:04"))
			at = next
		}
		if got := strings.Join(airings, ", "); got != m.airings {
			t.Errorf("%s: %s airs at %q, want %q", m.text, c.Slots[0].Cron.String(), got, m.airings)
		}
	}
}

func TestASpaceWithinATitleIsMeant(t *testing.T) {
	for _, title := range []string{"健康　微课堂", "健康\u00a0微课堂", "👨\u200d⚕️ 健康"} {
		if _, problems := config.Read("dalaba.toml", []byte(good+"title = \""+title+"\"\n"+slotOf("健康")), shelf{}); len(problems) > 0 {
			t.Errorf("%q: %v", title, problems)
		}
	}
}

func slotOf(playlist string) string {
	return "[[slot]]\nname = \"" + playlist + "时段\"\nplaylist = \"" + playlist + "\"\ncron = \"30 7 * * *\"\n"
}

// barren is a library that is not there yet.
type barren struct{ shelf }

func (barren) Stocked() bool                 { return false }
func (barren) Series(string) []playlist.Clip { return nil }

func TestWhatIsMissedBecauseOfOneThingIsReportedOnce(t *testing.T) {
	three := base
	for _, name := range []string{"一", "二", "三"} {
		three += "[[playlist]]\nname = \"" + name + "\"\nseries = \"系列" + name + "\"\n" + slotOf(name)
	}
	twelve := base
	for range 12 {
		twelve += strings.Replace(slotOf("课堂"), "课堂时段", "时段"+string(rune('a'+strings.Count(twelve, "[[slot]]"))), 1)
	}
	for _, c := range []struct {
		name, text string
		lib        config.Library
		says       string
	}{
		{"a library that is not there yet", three, barren{}, "里还没有音频库，系列都找不到"},
		{"a data folder that is not named", strings.Replace(three, "data_dir = \"d\"\n", "", 1), barren{}, "site.data_dir: 缺少必填的键"},
		{"a data folder that is a file", strings.Replace(three, "data_dir = \"d\"", "data_dir = \"slips_test.go\"", 1), barren{}, "site.data_dir: slips_test.go 是文件"},
		{"a series of several playlists", strings.NewReplacer("系列一", "没有", "系列二", "没有", "系列三", "没有").Replace(three), shelf{}, "没有系列“没有”"},
		{"a playlist of twelve slots", twelve + "[[playlist]]\nname = \"健康\"\nseries = \"健康微课堂\"\n", shelf{}, "没有节目单“课堂”（12 个时段用到它）"},
		{"no playlist at all", base + slotOf("一") + slotOf("二"), shelf{}, "没有节目单“一”"},
		{"a playlist with a bad file", base + "[[playlist]]\nname = \"一\"\nclips = [\"没有.mp3\"]\n" + slotOf("一"), shelf{}, "没有匹配到任何文件"},
		{"an output whose name has a fault", strings.Replace(good, "村口", "村 口", 1) + slotOf("健康") + "outputs = [\"村口\"]\n", shelf{}, "名称里不能有“ ”"},
		{"a key that is called otherwise", base + "[[slot]]\nname = \"一\"\nlist = \"健康\"\ncron = \"30 7 * * *\"\n[[playlist]]\nname = \"健康\"\nseries = \"健康微课堂\"\n", shelf{}, "想写的可能是 playlist"},
		{"an inbox that is the config's folder, with the drop folder in it", strings.Replace(good, "[[output]]", "inbox = \".\"\n[[output]]", 1) + slotOf("健康") + "[alert]\ndrop = \"alerts\"\n", shelf{}, "放进这个文件夹的文件会被收走"},
		{"numbered outputs", strings.Replace(base, "[[output]]", "[[output.1]]", 1), shelf{}, "请把表头写成 [[output]]"},
		{"a playlist that is no table", base + "[playlist.健康]\n", shelf{}, "表头看不懂"},
	} {
		_, problems := config.Read("dalaba.toml", []byte(c.text), c.lib)
		if len(problems) != 1 || !strings.Contains(problems[0].In(say.Chinese), c.says) {
			t.Errorf("%s: want %q alone, got", c.name, c.says)
			for _, p := range problems {
				t.Log("   ", p.In(say.Chinese))
			}
		}
	}
}

func TestTwoKeysThatAreCalledOtherwiseAreTheTwoThatAreMissed(t *testing.T) {
	_, problems := config.Read("dalaba.toml", []byte(base+"[[quiet]]\nstart = \"22:00\"\nend = \"06:00\"\n"), shelf{})
	if len(problems) != 2 || !strings.Contains(problems[0].Error(), "did you mean from") || !strings.Contains(problems[1].Error(), "did you mean to") {
		t.Errorf("%v", problems)
	}
}

// What a config says of its folder and its language is known though it is faulty.
func TestFolderAndLanguageAreReadFromAFaultyConfig(t *testing.T) {
	for _, c := range []struct{ name, text, dir, language string }{
		{"all is good", "[site]\ndata_dir = \"/d\"\nlanguage = \"en\"\n", "/d", "en"},
		{"a slip elsewhere", "[site]\ndata_dir = \"/d\"\nlanguage = \"en\"\nname = x\n", "/d", "en"},
		{"a header that is none", "[sites]\ndata_dir = \"/d\"\nlanguage = \"zh-CN\"\n", "/d", "zh-CN"},
		{"double brackets", "[[site]]\ndata_dir = \"/d\"\nlanguage = \"zh-CN\"\n", "/d", "zh-CN"},
		{"full-width quotes", "[site]\ndata_dir = \"/d\"\nlanguage = “en”\n", "/d", "en"},
		{"no language", "[site]\ndata_dir = \"/d\"\n", "/d", ""},
		{"a language that is none", "[site]\ndata_dir = \"/d\"\nlanguage = \"english\"\n", "/d", ""},
		{"a language in a comment", "[site]\n# language = \"en\"\ndata_dir = \"　/d \"\n", "/d", ""},
	} {
		if dir, language := config.DataDir("dalaba.toml", []byte(c.text)), config.Language([]byte(c.text)); dir != c.dir || language != c.language {
			t.Errorf("%s: %q, %q; want %q, %q", c.name, dir, language, c.dir, c.language)
		}
	}
}

// carded is a library on a machine whose second card is a USB one.
type carded struct{ shelf }

func (carded) CardByNumber(number string) string {
	if number == "1" {
		return "plughw:CARD=USB"
	}
	return ""
}

func TestACardByItsNumberIsCalledByItsName(t *testing.T) {
	for device, want := range map[string]string{
		"hw:1,0": `write "plughw:CARD=USB"`, "plughw:1,2": `write "plughw:CARD=USB,DEV=2"`, "plughw:CARD=1,DEV=0": `write "plughw:CARD=USB"`, "hw:0": "dalaba devices",
	} {
		c, problems := config.Read("dalaba.toml", []byte(base+"device = \""+device+"\"\n"), carded{})
		if c == nil || len(problems) != 1 || !strings.Contains(problems[0].Error(), want) {
			t.Errorf("%s: %v, want %s", device, problems, want)
		}
	}
}

// bareMachine is a library on a machine that has only the program and the file given.
type bareMachine struct {
	shelf
	has string
}

func (m bareMachine) HasFile(path string) bool    { return path == m.has }
func (m bareMachine) HasProgram(name string) bool { return name == m.has }

func TestWhatCannotWorkIsAWarningAndNoFault(t *testing.T) {
	for _, c := range []struct{ name, text, says string }{
		{"a recording for emergencies that is not there", good + slotOf("健康") + "[alert.generic]\ndefault = \"没有.mp3\"\n", "alert.generic.default: （提醒）找不到文件“没有.mp3”"},
		{"one that is there", good + slotOf("健康") + "[alert.generic]\ndefault = \"/有.mp3\"\n", ""},
		{"a program for the microphone that is not there", good + slotOf("健康") + "[microphone]\ncapture = [\"不存在的程序\"]\n", "microphone.capture: （提醒）找不到程序“不存在的程序”"},
		{"one that is there", good + slotOf("健康") + "[microphone]\ncapture = [\"/有.mp3\"]\n", ""},
		{"an inbox that is a file", strings.Replace(good, "[[output]]", "inbox = \"slips_test.go\"\n[[output]]", 1) + slotOf("健康"), "site.inbox: （提醒）slips_test.go 是文件，不是文件夹"},
		{"a drop folder that is a file", good + slotOf("健康") + "[alert]\ndrop = \"slips_test.go\"\n", "alert.drop: （提醒）slips_test.go 是文件，不是文件夹"},
		{"a program for the clock that is not there", strings.Replace(good, "[[output]]", "clock = \"command:不存在 -q\"\n[[output]]", 1) + slotOf("健康"), "site.clock: （提醒）找不到程序“不存在”"},
		{"one that is there", strings.Replace(good, "[[output]]", "clock = \"command:/有.mp3\"\n[[output]]", 1) + slotOf("健康"), ""},
		{"a file for the clock that is not there", strings.Replace(good, "[[output]]", "clock = \"file:/不存在\"\n[[output]]", 1) + slotOf("健康"), "site.clock: （提醒）找不到文件“/不存在”"},
		{"one that is there", strings.Replace(good, "[[output]]", "clock = \"file:/有.mp3\"\n[[output]]", 1) + slotOf("健康"), ""},
		{"one that each start makes anew", strings.Replace(good, "[[output]]", "clock = \"file:/run/synced\"\n[[output]]", 1) + slotOf("健康"), ""},
		{"an inbox that is not there yet", strings.Replace(good, "[[output]]", "inbox = \"in\"\n[[output]]", 1) + slotOf("健康"), ""},
	} {
		cfg, problems := config.Read("dalaba.toml", []byte(c.text), bareMachine{has: "/有.mp3"})
		said := ""
		if len(problems) > 0 {
			said = problems[0].In(say.Chinese)
		}
		if cfg == nil || len(problems) > 1 || c.says == "" != (said == "") || !strings.Contains(said, c.says) {
			t.Errorf("%s: want %q, got %v", c.name, c.says, said)
		}
	}
}

func TestALanguageIsReadFromATextThatIsNoUTF8(t *testing.T) {
	text := "[site]\nname = \"大坝\"\nlanguage = \"en\"\ndata_dir = \"/d\"\n"
	units := utf16.Encode([]rune("\ufeff" + text))
	little, big := []byte{}, []byte{}
	for _, u := range units {
		little, big = binary.LittleEndian.AppendUint16(little, u), binary.BigEndian.AppendUint16(big, u)
	}
	gbk, err := simplifiedchinese.GBK.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"UTF-16, little-endian": little, "UTF-16, big-endian": big, "UTF-16 without a mark": little[2:], "cut off within a character": little[:len(little)-1],
		"carriage returns alone": []byte(strings.ReplaceAll(text, "\n", "\r")), "GBK": []byte(gbk), "carriage returns and a mark": []byte("\ufeff" + strings.ReplaceAll(text, "\n", "\r")),
	} {
		if l, dir := config.Language(text), config.DataDir("dalaba.toml", text); l != "en" || dir != "/d" {
			t.Errorf("%s: %q, %q", name, l, dir)
		}
	}
}

// two is the good config with a second output.
var two = strings.Replace(good, "[[playlist]]", "[[output]]\nname = \"学校\"\ndevice = \"null:\"\n[[playlist]]", 1) + slotOf("健康")

func TestSeveralOutputsInOneEntryAreTakenApart(t *testing.T) {
	for entry, want := range map[string]string{
		"[\"村口 学校\"]": "请写成 outputs = [\"村口\", \"学校\"]", "[\"村口、学校\"]": "请写成 outputs = [\"村口\", \"学校\"]", "[\"学校\", \"村口;学校\"]": "请写成 outputs = [\"学校\", \"村口\"]",
		"[\"村口 卫生室\"]": "每个名称各写一项", "[\"村口\", \"全部\"]": "请把 outputs 这一行删掉", "村口 学校": "请写成 outputs = [\"村口\", \"学校\"]",
	} {
		_, problems := config.Read("dalaba.toml", []byte(two+"outputs = "+entry+"\n"), shelf{})
		if len(problems) != 1 || !strings.Contains(problems[0].In(say.Chinese), want) {
			t.Errorf("%s: want %q, got %v", entry, want, problems)
		}
	}
}

func TestAnExampleOfDaysIsInTheReadersLanguage(t *testing.T) {
	_, problems := config.Read("dalaba.toml", []byte(good+slotOf("健康")+"days = []\n"), shelf{})
	if len(problems) != 1 || !strings.Contains(problems[0].In(say.Chinese), `days = ["周一"]`) || !strings.Contains(problems[0].In(say.English), `days = ["mon"]`) {
		t.Errorf("%v", problems)
	}
}
