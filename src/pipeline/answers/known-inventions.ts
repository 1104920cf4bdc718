/*
 * What transcription models write for audio without speech. They were trained on subtitled videos, so they write how
 * videos end and who made the subtitles. Collected from public reports (openai/whisper, discussion 928, and its successors).
 * Letter case, marks, blanks and punctuation do not count.
 */

const listOf = (text: string): string[] =>
  text
    .split(/[|\n]/)
    .map((phrase) => phrase.trim())
    .filter((phrase) => phrase !== '')

/** Never the whole content of a phone call. */
export const inventedPhrases: readonly string[] = listOf(`
  Thank you for watching | Thank you so much for watching | Thank you very much for watching | you
  Thank you for watching this video | Thank you for watching my video | Thank you all for watching
  Thanks for watching | Thanks for watching everyone | Thanks for watching guys | Thanks for watching this video
  Thank you for listening | Thanks for listening | Thank you for viewing | Thanks for your watching
  Please subscribe | Please subscribe to my channel | Please subscribe to the channel | Subscribe to my channel
  Don't forget to subscribe | Don't forget to like and subscribe | Like and subscribe | Please like and subscribe
  Please like, share and subscribe | Please like, comment and subscribe | and I will see you in the next video
  See you in the next video | See you next video | I'll see you in the next video | See you in the next one
  Music | Applause | Silence | Blank audio | www.mooji.org | BF-WATCH TV 2021 | The end
  תודה שצפיתם | תודה רבה שצפיתם | תודה לכם שצפיתם | תודה שצפיתם בסרטון | תודה שצפית | תודה על הצפייה
  תודה על הצפיה | תודה רבה על הצפייה | תודה רבה על הצפיה | תודה לכולם על הצפייה | תודה שהאזנתם | תודה על ההאזנה
  תודה רבה לצופים | צפייה מהנה | צפייה נעימה | הירשמו לערוץ | תירשמו לערוץ | הרשמו לערוץ | אל תשכחו להירשם
  אל תשכחו להירשם לערוץ | אל תשכחו לעשות לייק | תעשו לייק | תעשו לייק ומנוי | נתראה בסרטון הבא | נתראה בפרק הבא
  כתוביות | תרגום וכתוביות | מוזיקה | מוסיקה | מחיאות כפיים
  اشتركوا في القناة | اشترك في القناة | لا تنسوا الاشتراك في القناة | لا تنسى الاشتراك في القناة | موسيقى
  شكرا على المشاهدة | شكرا للمشاهدة | شكرا لكم على المشاهدة | شكرا لمشاهدتكم | شكرا لكم على حسن المتابعة
  لا تنسوا الاشتراك | السلام عليكم ورحمة الله وبركاته اشتركوا في القناة | ممنون که تماشا کردید
  مرسی که تماشا کردید
  Спасибо за просмотр | Спасибо за внимание и просмотр | Подписывайтесь на канал | Подписывайтесь на мой канал
  Подпишись на канал | Ставьте лайки | Ставьте лайки и подписывайтесь на канал | Продолжение следует
  Всем спасибо за просмотр | Дякую за перегляд | Дякуємо за перегляд | Підписуйтесь на канал | Музыка
  Vielen Dank fürs Zuschauen | Danke fürs Zuschauen | Vielen Dank für das Zuschauen | Danke für das Zuschauen
  Vielen Dank für Ihre Aufmerksamkeit und bis zum nächsten Mal | Danke fürs Zusehen | Abonniert meinen Kanal
  Das war Untertitelung | Untertitelung | Musik | Merci d'avoir regardé | Merci d'avoir regardé cette vidéo
  Merci d'avoir regardé la vidéo | Abonnez-vous | Merci d'avoir visionné cette vidéo
  Merci d'avoir suivi cette vidéo | N'oubliez pas de vous abonner | Musique | Abonnez-vous à la chaîne
  Abonnez-vous à ma chaîne | Merci à tous d'avoir regardé cette vidéo | par SousTitreur.com | Gracias por ver
  Gracias por ver el video | Gracias por ver este video | Gracias por ver mi video | Música
  Muchas gracias por ver el video | Suscríbete | Suscríbete al canal | Suscríbete a mi canal
  Dale like y suscríbete | No olvides suscribirte | No olviden suscribirse | Nos vemos en el próximo video
  Hasta el próximo video | Obrigado por assistir | Obrigada por assistir | Obrigado por assistirem
  Obrigado por assistir ao vídeo | Obrigado por assistir esse vídeo | Inscreva-se no canal | Inscreva-se
  Não se esqueça de se inscrever | Se inscreva no canal | Até o próximo vídeo
  Deixe seu like e inscreva-se no canal | Grazie per aver guardato | Grazie per aver guardato il video
  Grazie per aver guardato questo video | Musica | Grazie per la visione | Grazie a tutti per la visione
  Iscriviti al canale | Iscrivetevi al canale | Bedankt voor het kijken | Dank u voor het kijken
  Bedankt om te kijken | Tot de volgende video | Muziek | Dziękuję za oglądanie | Dzięki za oglądanie
  Dziękuję za uwagę i oglądanie | Subskrybuj kanał | Muzyka | İzlediğiniz için teşekkürler
  İzlediğiniz için teşekkür ederim | İzlediğiniz için teşekkür ederiz | Müzik | Abone olmayı unutmayın
  Kanalıma abone olmayı unutmayın | Videoyu beğenmeyi ve abone olmayı unutmayın
  Bir sonraki videoda görüşmek üzere | Yorumlarınızı abone olmayı unutmayın | Tack för att ni tittade
  Tack för att du tittade | Tack för att ni har tittat | Tak fordi du så med | Musikk | Tak fordi I så med
  Takk for at du så på | Takk for at du så med | Takk for at dere så på | Kiitos kun katsoit
  Kiitos, että katsoit | Kiitos katsomisesta | Děkuji za sledování | Děkujeme za sledování | Ďakujem za pozretie
  Köszönöm, hogy megnézted | Köszönöm, hogy megnézte a videót | Köszönöm a figyelmet és a nézést
  Mulțumesc pentru vizionare | Vă mulțumim pentru vizionare | Nu uitați să vă abonați | Să nu uitați să vă abonați
  Ευχαριστώ που παρακολουθήσατε | Ευχαριστούμε που παρακολουθήσατε
  Благодаря за гледането
  Hvala što ste gledali | Hvala na gledanju | Hvala za ogled | Gràcies per veure el vídeo
  ご視聴ありがとうございました | ご視聴ありがとうございます | ご清聴ありがとうございました | ご覧いただきありがとうございました | 最後までご視聴いただきありがとうございました
  最後までご視聴ありがとうございました | ご視聴いただきありがとうございました | チャンネル登録をお願いいたします | チャンネル登録をお願いします | チャンネル登録お願いします | チャンネル登録よろしくお願いします
  高評価とチャンネル登録をお願いします | 高評価チャンネル登録よろしくお願いします | 次の動画でお会いしましょう | また次の動画でお会いしましょう | また次回の動画でお会いしましょう | 次回の動画もお楽しみに
  音楽
  시청해 주셔서 감사합니다 | 시청해주셔서 고맙습니다 | 끝까지 시청해 주셔서 감사합니다 | 영상 시청해 주셔서 감사합니다 | 구독과 좋아요 부탁드립니다 | 구독과 좋아요
  구독 좋아요 알림설정 부탁드려요 | 구독과 좋아요 알림 설정 부탁드립니다 | 다음 영상에서 만나요 | 다음 영상에서 뵙겠습니다 | MBC 뉴스 이덕영입니다 | MBC 뉴스 김성현입니다 | 음악
  谢谢观看 | 謝謝觀看 | 感谢观看 | 感謝觀看 | 谢谢收看 | 謝謝收看 | 感谢收看 | 感謝收看 | 謝謝大家收看 | 谢谢大家观看 | 请不吝点赞订阅转发打赏支持明镜与点点栏目
  請不吝點讚訂閱轉發打賞支持明鏡與點點欄目 | 请订阅我的频道 | 請訂閱我的頻道 | 多谢您的观看 | 多謝您的觀看 | 我们下期再见 | 我們下期再見
  優優獨播劇場YoYo Television Series Exclusive | 音乐 | 音樂
  MING PAO CANADA MING PAO TORONTO
  點讚訂閱轉發 | 点赞订阅转发 | 未经作者授权禁止转载 | 未經作者授權禁止轉載
  Cảm ơn các bạn đã theo dõi | Cảm ơn các bạn đã xem video | Cảm ơn các bạn đã theo dõi và hẹn gặp lại
  Hãy subscribe cho kênh Ghiền Mì Gõ Để không bỏ lỡ những video hấp dẫn
  Hãy đăng ký kênh để ủng hộ kênh của mình nhé | Các bạn hãy đăng ký kênh nhé | Cảm ơn bạn đã xem
  Terima kasih telah menonton | Terima kasih sudah menonton | Terima kasih kerana menonton
  Jangan lupa like, share dan subscribe | Jangan lupa subscribe | Salamat sa panonood | ขอบคุณที่รับชม
  ขอบคุณที่รับชมครับ | ขอบคุณสำหรับการรับชม | โปรดติดตามตอนต่อไป | देखने के लिए धन्यवाद
  वीडियो देखने के लिए धन्यवाद | चैनल को सब्सक्राइब करें | चैनल को सब्सक्राइब कीजिए
  धन्यवाद देखने के लिए | देखने के लिए धन्यवाद | देखने के लिए शुक्रिया | আমার চ্যানেল সাবস্ক্রাইব করুন | ধন্যবাদ দেখার জন্য | দেখার জন্য ধন্যবাদ
  ভিডিওটি দেখার জন্য ধন্যবাদ | பார்த்ததற்கு நன்றி | నా ఛానల్ ని సబ్స్క్రైబ్ చేయండి | دیکھنے کا شکریہ | ویڈیو دیکھنے کا شکریہ
  Aitäh vaatamast | Aitäh, et vaatasite | Suur aitäh vaatamast | Ačiū, kad žiūrėjote | Ačiū, kad žiūrite | Ačiū už dėmesį ir žiūrėjimą
  Paldies par skatīšanos | Paldies, ka skatījāties | Շնորհակալություն դիտելու համար | Շնորհակալություն դիտման համար
  გმადლობთ ყურებისთვის | გმადლობთ, რომ უყურეთ | Kiitos katselusta | Kiitos, että katsoitte | Kiitos kun katsoitte
  Хвала што пратите | Хвала што сте гледали | Хвала на гледању | Hvala što pratite | Hvala vam što ste gledali
  Дякую, що дивитесь | Дякую, що дивилися | Дякуємо, що дивитесь | Дзякуй за прагляд | Рахмет көргендеріңізге
  Faleminderit që shikuat | Faleminderit për shikimin | Faleminderit që e shikuat | Asante kwa kutazama | Asanteni kwa kutazama
  Dankie vir die kyk | Dankie dat jy gekyk het | Bedankt voor het bekijken | Mulțumim pentru vizionare | Mulțumesc că ați urmărit
  Teşekkürler izlediğiniz için | İzlediğiniz için çok teşekkürler | Baxdığınız üçün təşəkkürlər | İzlədiyiniz üçün təşəkkürlər
  Takk fyrir að horfa | Go raibh maith agat as féachaint | Gràcies per mirar | Eskerrik asko ikusteagatik | Grazas por ver o vídeo
  Ďakujem za sledovanie | Ďakujeme za sledovanie | Děkuji, že jste sledovali | Dziękujemy za oglądanie | Dziękuję, że oglądacie
  Благодаря за гледането на видеото | Благодаря ви, че гледахте | Ви благодарам за гледањето | Ευχαριστώ για την παρακολούθηση
  Ευχαριστώ που είδατε το βίντεο | Salamat sa panonood | Maraming salamat sa panonood | Terima kasih kerana menonton
  Продолжение в следующей части | Продолжение в следующей серии | Дивіться далі | 視聴ありがとうございました | 見てくれてありがとう
  見てくださってありがとうございます | 봐주셔서 감사합니다 | 시청 감사합니다 | 感謝您的觀看 | 感谢您的观看 | 感谢大家观看 | 感謝大家觀看
  شكرا لكم على المشاهدة | شكرا على المتابعة | شكرا لمتابعتكم | از تماشای شما متشکرم | ممنون از تماشای شما | ขอบคุณที่รับชม | ขอบคุณสำหรับการรับชม
  Diolch yn fawr iawn am wylio'r fideo | Diolch am wylio'r fideo
`)

/** Also said in calls; alone they count as invented only in long audio. */
export const politePhrases: readonly string[] = listOf(`
  Thank you | Thank you very much | Thank you so much | Thank you bye | Thanks | Bye | Bye bye | Okay | Yeah
  תודה | תודה רבה | תודה רבה לכם | תודה לכם | להתראות
  شكرا | شكرا لكم | شكرا جزيلا | متشکرم
  Спасибо | Спасибо большое | Большое спасибо | Всем пока | Пока | Дякую
  Danke | Vielen Dank | Danke schön | Merci | Merci beaucoup | Au revoir | Gracias | Muchas gracias | Adiós
  Obrigado | Obrigada | Tchau | Até a próxima | Grazie | Grazie mille | Grazie a tutti | Ciao | Dank u wel
  Bedankt | Dziękuję | Dzięki | Teşekkürler | Teşekkür ederim | Tack | Tack så mycket | Takk | Tak | Kiitos
  Děkuji | Köszönöm | Mulțumesc | Ευχαριστώ | Bis zum nächsten Mal
  ありがとうございました | ありがとうございます | おやすみなさい
  감사합니다 | 고맙습니다
  谢谢 | 謝謝 | 谢谢大家 | 謝謝大家
  Cảm ơn | Cảm ơn các bạn | Terima kasih | ขอบคุณ | ขอบคุณครับ | धन्यवाद | See you next time | Goodbye
`)

/** How a subtitle credit begins; any name may follow. */
export const creditBeginnings: readonly string[] = listOf(`
  Subtitles by | Subtitled by | Captions by | Captioned by | Captioning by | Transcribed by | Transcription by
  Translated by | Translation by | Subtitles made by | Subtitles provided by | Closed captioning by
  ESO Translated by
  כתוביות על ידי | כתוביות ע״י | הכתוביות נעשו על ידי | תורגם על ידי | תורגם ע״י | תרגום על ידי | תרגום ע״י
  תורגם וסונכרן | תמלול על ידי | תמלול ע״י | סונכרן על ידי
  ترجمة نانسي قنقر | ترجمه و زیرنویس | زیرنویس از
  Субтитры сделал | Субтитры создавал | Субтитры создал | Субтитры делал | Субтитры подогнал | Субтитры подготовил
  Субтитры предоставил | Субтитры и перевод | Редактор субтитров | Корректор субтитров | Субтитрувальниця
  Субтитри створив
  Untertitel von Stephanie Geiges | Untertitel der Amara | Untertitel im Auftrag | Untertitelung im Auftrag
  Untertitelung des ZDF
  Untertitelung aufgrund | Untertitelung von ZDF | Copyright WDR | SWR 20 | Sous-titres réalisés | Sous-titres par
  Sous-titres faits | Sous-titres fait par | Sous-titrage ST | Subtítulos realizados | Subtítulos por
  Sous-titrage Société Radio-Canada | Sous-titrage MFP | Undertekster fra
  Subtítulos creados | Subtítulos hechos | Subtítulos en español de | Subtitulado por | Legendas pela comunidade
  Legendas por comunidade | Legendado por | Transcrição e legendas | Tradução e legendas | Sottotitoli creati
  Sottotitoli e revisione | Sottotitoli a cura | Sottotitoli di Sottotitoli | Ondertitels ingediend
  Ondertiteld door
  Ondertiteling door | TV GELDERLAND | Napisy stworzone | Napisy wykonane | Napisy robione | Zdjęcia i napisy
  Tłumaczenie i napisy | Tłumaczenie stworzone | Altyazı M.K. | Çeviri ve altyazı | Undertexter från
  Undertexter av
  Textning Stina Hedin | Svensktextning | Undertekster av | Teksting av | Danske tekster af | Tekstet av | Tekstet af
  Titulky vytvořil
  Titulky přeložil | Feliratok készítette | Υπότιτλοι AUTHORWAVE
  字幕by | 字幕由 | 字幕提供 | 字幕志愿者 | 字幕制作人 | 中文字幕志愿者 | 小編字幕 | 日本語字幕by
  한글자막 by | 자막 제공 | 자막 by
`)

/** Credits that are recognised only with a colon, since the word alone is common. */
export const creditLabels: readonly string[] = listOf(`
  Subtitles | Captions | Translation
  כתוביות | תרגום | תמלול | הפקה | עריכה | סנכרון
  ترجمة
  Субтитры | Перевод
  Untertitel | Sous-titres | Traduction | Subtítulos | Legendas | Sottotitoli | Napisy
  字幕 | 翻译 | 翻譯
  자막
`)

/** Names of sounds in parentheses. */
export const soundNames: readonly string[] = listOf(`
  music | silence | applause | laughter | laughing | noise | static | beep | beeping | ringing | inaudible | sigh
  unintelligible | indistinct | crosstalk | dial tone | phone ringing | no speech | no audio | breathing | cough
  speaking in foreign language | speaking foreign language | speaks in foreign language | blank audio
  background noise
  מוזיקה | מוסיקה | שקט | שתיקה | צחוק | מחיאות כפיים | רעש | צליל חיוג | לא ברור | לא נשמע | צפצוף
  موسيقى | صمت
  музыка | тишина | смех | аплодисменты
  musik | musik spielt | klaviermusik | spannungsmusik | gelächter | applaus | stille | musique | silencio | música | rires | musica | silenzio | muziek | muzyka | cisza | müzik
  音楽 | 拍手 | 笑 | 音乐 | 音樂 | 掌声
  음악 | 박수 | 웃음
  upbeat | soft | gentle | dramatic | ominous | light | suspenseful | playing | in background | line ringing
`)
