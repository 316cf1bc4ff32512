import { computed, type ComputedRef } from 'vue'
import { useI18n } from '../../site/i18n'

/** Formats numbers for the reader's language. Unknown values are a dash. */
export interface Numbers {
  count: (value: number | null) => string
  percent: (part: number, all: number) => string
  bytes: (value: number | null) => string
  milliseconds: (value: number | null) => string
  seconds: (value: number) => string
}

const UNKNOWN = '–'

export function useNumbers(): ComputedRef<Numbers> {
  const { locale } = useI18n()
  return computed(() => {
    const whole = new Intl.NumberFormat(locale.value, { maximumFractionDigits: 0 })
    const digits = new Intl.NumberFormat(locale.value, { maximumSignificantDigits: 3 })
    const share = new Intl.NumberFormat(locale.value, { style: 'percent', maximumFractionDigits: 0 })
    const unit = { style: 'unit', unitDisplay: 'short', maximumSignificantDigits: 3 } as const
    const second = new Intl.NumberFormat(locale.value, { ...unit, unit: 'second' })
    // These symbols are the same in every language.
    const bytes = (value: number): string =>
      value < 9_999.5
        ? `${whole.format(value)} B`
        : value < 999_500
          ? `${digits.format(value / 1_000)} kB`
          : `${digits.format(value / 1_000_000)} MB`
    return {
      count: (value) => (value === null ? UNKNOWN : whole.format(value)),
      percent: (part, all) => (all === 0 ? UNKNOWN : share.format(part / all)),
      bytes: (value) => (value === null ? UNKNOWN : bytes(value)),
      milliseconds: (value) => (value === null ? UNKNOWN : `${digits.format(Math.max(0.1, value))} ms`),
      seconds: (value) => second.format(value),
    }
  })
}
