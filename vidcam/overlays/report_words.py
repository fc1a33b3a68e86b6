"""The words in the report of `vidcam eval`, in the languages of `words.py`."""

# Each phrase in the order of LANGUAGES: zh, zh-TW, ja, ko, en.
REPORT_WORDS: dict[str, tuple[str, str, str, str, str]] = {
    "report": (
        "{} 在 {} 上的评估",
        "{} 在 {} 上的評估",
        "{}：{} での評価",
        "{}: {}에서의 평가",
        "{} on {}",
    ),
    "report settings": (
        "部分 {}，{}，{} 像素，温度 {}，vidcam {}",
        "部分 {}，{}，{} 像素，溫度 {}，vidcam {}",
        "データ {}、{}、{} ピクセル、温度 {}、vidcam {}",
        "데이터 {}, {}, {}픽셀, 온도 {}, vidcam {}",
        "part {}, {} fit, {} px, temperature {}, vidcam {}",
    ),
    # what the numbers cannot say
    "has seen": (
        "部分 {}：如果模型是用 {} 训练的，它已经见过这些图片",
        "部分 {}：如果模型是用 {} 訓練的，它已經見過這些圖片",
        "データ {}：{} で学習したモデルなら、これらの画像をすでに見ています",
        "데이터 {}: {}(으)로 학습했다면 모델은 이 그림들을 이미 보았습니다",
        "part {}: if it was trained on {}, it has seen these",
    ),
    "validated with": (
        "部分 {}：如果模型是用 {} 训练的，最佳轮次、温度和阈值就是用这些图片选定的，"
        "它究竟有多好，要看另外的图片，例如测试部分（test）",
        "部分 {}：如果模型是用 {} 訓練的，最佳輪次、溫度和閾值就是用這些圖片選定的，"
        "它究竟有多好，要看另外的圖片，例如測試部分（test）",
        "データ {}：{} で学習したモデルなら、最良エポック、温度、しきい値はこれらの画像で"
        "選ばれています。実力は別の画像（test など）で分かります",
        "데이터 {}: {}(으)로 학습했다면 최적 에포크, 온도, 임계값을 이 그림들로 정했습니다. "
        "실제 성능은 다른 그림(test 등)으로 알 수 있습니다",
        "part {}: if it was trained on {}, its best epoch, temperature and thresholds were chosen "
        "by these pictures; only others, such as a test part, tell how good it is",
    ),
    # the totals
    "pictures": ("图片", "圖片", "画像", "그림", "pictures"),
    "classes": ("类别", "類別", "クラス", "클래스", "classes"),
    "mean": ("平均 {}", "平均 {}", "平均 {}", "평균 {}", "mean {}"),
    "calibration error": ("校准误差", "校準誤差", "較正誤差", "보정 오차", "calibration error"),
    # unknown
    "unknown": ("未知", "未知", "不明", "알 수 없음", "Unknown"),
    "unknown kept": (
        "温度为 {} 时，{} 的正确回答仍为已知，已知类别的图片中有 {} 被判为未知。",
        "溫度為 {} 時，{} 的正確回答仍為已知，已知類別的圖片中有 {} 被判為未知。",
        "温度 {} では、正しい回答の {} が既知のまま残り、既知クラスの画像の {} が不明とされます。",
        "온도 {}에서 정답의 {}가 그대로 유지되고, 아는 클래스 그림의 {}가 알 수 없음이 됩니다.",
        "At temperature {}, {} of the right answers stay known, and unknown is said of {} of the "
        "pictures of known classes.",
    ),
    "unknown strange": (
        "模型没有的类别的 {} 张图片中，{} 被判为未知。",
        "模型沒有的類別的 {} 張圖片中，{} 被判為未知。",
        "モデルにないクラスの画像 {} 枚のうち、{} が不明とされます。",
        "모델에 없는 클래스의 그림 {}장 중 {}가 알 수 없음이 됩니다.",
        "Of the {} pictures of classes that it lacks, {} are called unknown.",
    ),
    # the table of the classes
    "class": ("类别", "類別", "クラス", "클래스", "class"),
    "n": ("图片数", "圖片數", "枚数", "장수", "n"),
    "accuracy": ("准确率", "準確率", "正解率", "정확도", "accuracy"),
    "least first": (
        "F1 最低的在前。",
        "F1 最低的在前。",
        "F1 の低い順。",
        "F1이 낮은 순서.",
        "The least F1 first.",
    ),
    # pictures
    "map note": (
        "把鼠标放在点上，可看到类别和文件。",
        "把滑鼠放在點上，可看到類別和檔案。",
        "点にポインタを置くとクラスとファイルが出ます。",
        "점 위에 포인터를 두면 클래스와 파일이 보입니다.",
        "The pointer on a point shows its class and file.",
    ),
    "worst": (
        "错得最离谱的图片",
        "錯得最離譜的圖片",
        "最悪の画像",
        "최악의 그림",
        "Worst pictures",
    ),
    "worst note": (
        "真实类别得分最低的图片：原图、预测类别的 Grad-CAM、真实类别的 Grad-CAM。",
        "真實類別分數最低的圖片：原圖、預測類別的 Grad-CAM、真實類別的 Grad-CAM。",
        "正解クラスのスコアが最も低い画像：元の画像、予測クラスと正解クラスの Grad-CAM。",
        "정답 클래스의 점수가 가장 낮은 그림: 원본, 예측 클래스와 정답 클래스의 Grad-CAM.",
        "Those with the least score of their own class: the picture, the Grad-CAM of the answer, "
        "and that of the class.",
    ),
    "none wrong": (
        "没有回答错误的图片。",
        "沒有回答錯誤的圖片。",
        "誤答の画像はありません。",
        "오답인 그림이 없습니다.",
        "No picture was answered wrongly.",
    ),
    "most confused": (
        "最常混淆的类别",
        "最常混淆的類別",
        "最もよく混同されるクラス",
        "가장 자주 혼동되는 클래스",
        "Most often confused",
    ),
    "card": (
        "真实类别 {}：{}，预测 {}：{}",
        "真實類別 {}：{}，預測 {}：{}",
        "正解 {}：{}、予測 {}：{}",
        "정답 {}: {}, 예측 {}: {}",
        "{}: {}, answered {}: {}",
    ),
    "left out": ("未参与评估", "未參與評估", "対象外", "제외됨", "Left out"),
    "left out of": (
        "{} 张图片的类别是模型没有的：{}",
        "{} 張圖片的類別是模型沒有的：{}",
        "モデルにないクラスの画像 {} 枚：{}",
        "모델에 없는 클래스의 그림 {}장: {}",
        "{} pictures of classes that the model lacks: {}",
    ),
    "unread": (
        "{} 张图片无法读取：",
        "{} 張圖片無法讀取：",
        "読めなかった画像 {} 枚：",
        "읽을 수 없는 그림 {}장:",
        "{} could not be read:",
    ),
}
