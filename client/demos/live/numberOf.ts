/**
 * `1,234.50`, as both languages of the site write it. The first use of `Intl` in a page takes 30 ms, and on a phone 100: too long
 * before the first figures.
 */
export function numberOf(value: number, digits: number = 0): string {
  return value.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))/g, ',')
}

export const euros = (cents: number): string => `€${numberOf(cents / 100, 2)}`
