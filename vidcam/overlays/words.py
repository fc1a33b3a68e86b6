"""The words that windows, "no signal" pictures, figures and reports have, in five languages."""

from vidcam.overlays.figure_words import FIGURE_WORDS
from vidcam.overlays.report_words import REPORT_WORDS
from vidcam.values import LANGUAGES

ENGLISH = "en"

# Each phrase in the order of LANGUAGES: zh, zh-TW, ja, ko, en.
PHRASES: dict[str, tuple[str, str, str, str, str]] = {
    # the status bar
    "dropped": ("丢帧 {}", "掉幀 {}", "ドロップ {}", "드롭 {}", "dropped {}"),
    # the picture without a signal
    "no signal": (
        "无信号，自 {} 起",
        "無訊號，自 {} 起",
        "{} から信号がありません",
        "{} 부터 신호 없음",
        "no signal since {}",
    ),
    # the figures of `vidcam explain`
    "original": ("原图", "原圖", "元の画像", "원본", "original"),
    "heat": ("热力图", "熱力圖", "ヒートマップ", "히트맵", "heat"),
    "no evidence": (
        "没有正面证据",
        "沒有正面證據",
        "肯定的な根拠なし",
        "긍정적 근거 없음",
        "no positive evidence",
    ),
    "true class": ("真实类别：{}", "真實類別：{}", "正解：{}", "정답: {}", "true class: {}"),
    "predicted": ("预测：{}", "預測：{}", "予測：{}", "예측: {}", "predicted: {}"),
    "removed": (
        "去掉最热的部分",
        "去掉最熱的部分",
        "最も熱い部分を除く",
        "가장 뜨거운 부분 제거",
        "hottest part removed",
    ),
    "kept": (
        "只留最热的部分",
        "只留最熱的部分",
        "最も熱い部分だけを残す",
        "가장 뜨거운 부분만 유지",
        "only the hottest part kept",
    ),
    "share": (
        "占图片的比例",
        "占圖片的比例",
        "画像に占める割合",
        "그림에서 차지하는 비율",
        "share of the picture",
    ),
    "class score": (
        "该类别的得分",
        "該類別的分數",
        "クラスのスコア",
        "클래스 점수",
        "score of the class",
    ),
    # what the keys did
    "paused": ("已暂停", "已暫停", "一時停止中", "일시정지", "paused"),
    "heat on": ("热力图：开", "熱力圖：開", "ヒートマップ：オン", "히트맵: 켬", "heat on"),
    "heat off": ("热力图：关", "熱力圖：關", "ヒートマップ：オフ", "히트맵: 끔", "heat off"),
    "opacity": ("不透明度 {}%", "不透明度 {}%", "不透明度 {}%", "불투명도 {}%", "opacity {}%"),
    "pinned": ("解释：{}", "解釋：{}", "説明するクラス：{}", "설명: {}", "explaining {}"),
    "unpinned": (
        "解释：得分最高的类别",
        "解釋：分數最高的類別",
        "説明するクラス：1 位",
        "설명: 1위 클래스",
        "explaining the top class",
    ),
    "no rank": (
        "没有第 {} 名的类别",
        "沒有第 {} 名的類別",
        "{} 位のクラスはありません",
        "{}위 클래스 없음",
        "no class at rank {}",
    ),
    "recording": ("开始录制", "開始錄影", "録画を開始", "녹화 시작", "recording"),
    "recorded": ("停止录制", "停止錄影", "録画を停止", "녹화 중지", "recording stopped"),
    "not recorded": ("无法录制", "無法錄影", "録画できません", "녹화할 수 없음", "cannot record"),
    "saved": ("已保存 {}", "已儲存 {}", "保存しました {}", "저장함 {}", "saved {}"),
    "not saved": ("快照未保存", "快照未儲存", "保存できません", "저장 실패", "snapshot not saved"),
    "all cameras": ("全部摄像头", "全部攝影機", "すべてのカメラ", "모든 카메라", "all cameras"),
    "waiting": (
        "等待画面…",
        "等待畫面…",
        "映像を待っています…",
        "영상 대기 중…",
        "waiting for a picture…",
    ),
    # the list of the keys
    "key q": ("退出", "結束", "終了", "끝내기", "quit"),
    "key space": ("暂停画面", "暫停畫面", "一時停止", "일시정지", "pause"),
    "key s": ("保存快照", "儲存快照", "スナップショット", "스냅샷 저장", "save a snapshot"),
    "key c": (
        "下一种 CAM 方法",
        "下一種 CAM 方法",
        "次の CAM 手法",
        "다음 CAM 방법",
        "next CAM method",
    ),
    "key h": ("热力图开关", "熱力圖開關", "ヒートマップ表示", "히트맵 켬/끔", "heat on or off"),
    "key []": (
        "热力图不透明度",
        "熱力圖不透明度",
        "ヒートマップの濃さ",
        "히트맵 불투명도",
        "opacity of the heat",
    ),
    "key 1-9": (
        "解释第几名的类别",
        "解釋第幾名的類別",
        "その順位のクラスを説明",
        "해당 순위 클래스 설명",
        "explain the class at that rank",
    ),
    "key 0": (
        "解释得分最高的类别",
        "解釋分數最高的類別",
        "1 位のクラスを説明",
        "1위 클래스 설명",
        "explain the top class",
    ),
    "key r": (
        "开始或停止录制",
        "開始或停止錄影",
        "録画の開始・停止",
        "녹화 시작/중지",
        "start or stop recording",
    ),
    "key tab": ("切换摄像头", "切換攝影機", "次のカメラ", "다음 카메라", "next camera"),
    "key ?": ("显示按键", "顯示按鍵", "キーの一覧", "키 목록", "list the keys"),
    # why there is no signal
    "refused": ("连接被拒绝", "連線被拒絕", "接続が拒否されました", "연결 거부됨", "refused"),
    "timeout": ("超时", "逾時", "タイムアウト", "시간 초과", "timeout"),
    "authentication": ("认证失败", "驗證失敗", "認証に失敗しました", "인증 실패", "authentication"),
    "not found": ("未找到", "找不到", "見つかりません", "찾을 수 없음", "not found"),
    "unsupported codec": (
        "不支持的编码",
        "不支援的編碼",
        "未対応のコーデック",
        "지원하지 않는 코덱",
        "unsupported codec",
    ),
    "unplugged": ("设备已拔出", "裝置已拔除", "取り外されました", "장치 분리됨", "unplugged"),
    "busy": ("设备被占用", "裝置使用中", "使用中です", "사용 중", "busy"),
    "permission denied": (
        "没有权限",
        "沒有權限",
        "権限がありません",
        "권한 없음",
        "permission denied",
    ),
    "end of stream": (
        "流已结束",
        "串流已結束",
        "ストリームが終了しました",
        "스트림 종료",
        "end of stream",
    ),
    "invalid data": ("数据无效", "資料無效", "無効なデータ", "잘못된 데이터", "invalid data"),
    "unreachable": ("无法到达", "無法連上", "到達できません", "연결할 수 없음", "unreachable"),
    "broken off": ("连接中断", "連線中斷", "切断されました", "연결 끊김", "broken off"),
    "size changed": ("尺寸已改变", "尺寸已變更", "サイズ変更", "크기 변경됨", "size changed"),
    "connecting": ("正在连接", "正在連線", "接続中", "연결 중", "connecting"),
    **FIGURE_WORDS,
    **REPORT_WORDS,
}


def say(phrase: str, language: str, *values: object) -> str:
    """A phrase in a language, `values` filled in; what has no translation stays as it is."""
    known = PHRASES.get(phrase.lower())
    if known is None:
        return phrase
    column = LANGUAGES.index(language if language in LANGUAGES else ENGLISH)
    return known[column].format(*values)
